// What a message's stanza says beside the encrypted content.

import { isChannel } from './jids.mjs';

const EDITED = '1', PINNED = '2', REVOKED = '7', REVOKED_BY_ADMIN = '8';
const PAYMENTS = { review_and_pay: 'order_details', payment_info: 'payment_info' };

export function extrasOf(message, chat, { library }) {
  const { proto, normalizeMessageContent } = library.baileys;
  const content = normalizeMessageContent(message) ?? message;
  const attributes = {}, nodes = [];
  const edit = editOf(message, content, proto);
  if (edit) attributes.edit = edit;
  const type = isChannel(chat) ? undefined : typeOf(content, proto);
  if (type) attributes.type = type;
  if (content.pollCreationMessage ?? content.pollCreationMessageV2 ?? content.pollCreationMessageV3) {
    nodes.push({ tag: 'meta', attrs: { polltype: 'creation' } });
  } else if (content.pollUpdateMessage) {
    nodes.push({ tag: 'meta', attrs: { polltype: 'vote' } });
  } else if (content.eventMessage) {
    nodes.push({ tag: 'meta', attrs: { event_type: 'creation' } });
  } else if (content.encEventResponseMessage) {
    nodes.push({ tag: 'meta', attrs: { event_type: 'response' } });
  } else if (isEventEdit(content, proto)) {
    nodes.push({ tag: 'meta', attrs: { event_type: 'edit' } });
  }
  const biz = bizOf(content);
  if (biz) nodes.push(biz);
  return { additionalAttributes: attributes, additionalNodes: nodes };
}

// The type, as WhatsApp Web says it, of messages that the library takes for a text. It also names no
// `mediatype` of them, nor of a wrapped file, which it sends as `media` without one.
function typeOf(content, proto) {
  if (content.encEventResponseMessage || isEventEdit(content, proto)) return 'event';
  if (content.locationMessage || content.ptvMessage || content.extendedTextMessage?.matchedText) return 'media';
  return undefined;
}

function isEventEdit({ secretEncryptedMessage: sealed }, proto) {
  return sealed?.secretEncType === proto.Message.SecretEncryptedMessage.SecretEncType.EVENT_EDIT;
}

function editOf(message, content, proto) {
  const change = (message.editedMessage?.message ?? content)?.protocolMessage;
  const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type;
  if (change?.editedMessage || change?.type === MESSAGE_EDIT) return EDITED;
  if (change && change.type === REVOKE && change.key) {
    return change.key.fromMe ? REVOKED : REVOKED_BY_ADMIN;
  }
  if (isEventEdit(content, proto)) return EDITED;
  if (content.pinInChatMessage) return PINNED;
  if (content.reactionMessage && !content.reactionMessage.text) return REVOKED;
  return undefined;
}

// Phones show buttons, lists and the choice of one only if the stanza says that there are some.
function bizOf(content) {
  const biz = (tag, attrs = {}, below) => ({ tag: 'biz', attrs: {}, content: [{ tag, attrs, content: below }] });
  if (content.listMessage) return biz('list', { type: 'product_list', v: '2' });
  if (content.listResponseMessage) return biz('list_response');
  if (content.buttonsResponseMessage) return biz('buttons_response');
  const { nativeFlowMessage: flow, carouselMessage: carousel } = content.interactiveMessage ?? {};
  if (!flow && !carousel && !content.buttonsMessage) return undefined;
  const name = flow?.buttons?.[0]?.name;
  if (PAYMENTS[name]) return { tag: 'biz', attrs: { native_flow_name: PAYMENTS[name] } };
  const shown = name === 'review_order' ? 'order_status' : 'mixed';
  return biz('interactive', { type: 'native_flow', v: '1' }, [{ tag: 'native_flow', attrs: { v: '9', name: shown } }]);
}
