// What a message's stanza says beside the encrypted content.

const EDITED = '1', PINNED = '2', REVOKED = '7', REVOKED_BY_ADMIN = '8';

export function extrasOf(message, { library }) {
  const { proto, normalizeMessageContent } = library.baileys;
  const content = normalizeMessageContent(message) ?? message;
  const attributes = {}, nodes = [];
  const edit = editOf(message, content, proto);
  if (edit) attributes.edit = edit;
  if (content.pollCreationMessage ?? content.pollCreationMessageV2 ?? content.pollCreationMessageV3) {
    nodes.push({ tag: 'meta', attrs: { polltype: 'creation' } });
  } else if (content.pollUpdateMessage) {
    nodes.push({ tag: 'meta', attrs: { polltype: 'vote' } });
  } else if (content.eventMessage) {
    nodes.push({ tag: 'meta', attrs: { event_type: 'creation' } });
  }
  const business = businessOf(content);
  if (business) nodes.push({ tag: 'biz', attrs: {}, content: business });
  return { additionalAttributes: attributes, additionalNodes: nodes };
}

function editOf(message, content, proto) {
  const change = (message.editedMessage?.message ?? content)?.protocolMessage;
  const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type;
  if (change?.editedMessage || change?.type === MESSAGE_EDIT) return EDITED;
  if (change && change.type === REVOKE && change.key) {
    return change.key.fromMe ? REVOKED : REVOKED_BY_ADMIN;
  }
  if (content.pinInChatMessage) return PINNED;
  if (content.reactionMessage && !content.reactionMessage.text) return REVOKED;
  return undefined;
}

// Phones show buttons and lists only if the stanza says that there are some.
function businessOf(content) {
  if (content.listMessage) return [{ tag: 'list', attrs: { type: 'product_list', v: '2' } }];
  const flow = content.interactiveMessage?.nativeFlowMessage ?? content.interactiveMessage?.carouselMessage;
  if (!flow && !content.buttonsMessage) return undefined;
  const name = content.interactiveMessage?.nativeFlowMessage?.buttons?.[0]?.name;
  const special = ['review_and_pay', 'payment_info', 'review_order'].includes(name);
  return [{
    tag: 'interactive',
    attrs: { type: 'native_flow', v: '1' },
    content: [{ tag: 'native_flow', attrs: { v: '9', name: special ? name : 'mixed' } }],
  }];
}
