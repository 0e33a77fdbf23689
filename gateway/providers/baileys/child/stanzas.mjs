// Translates stanzas of WhatsApp that are no messages to the engine's events.
//
// They are read before the library acknowledges them, so that the outbox stores them first.

import { bare, isGroup, jidOf } from './jids.mjs';
import { childOf, childrenOf, textOf } from './nodes.mjs';

const RECEIPTS = {
  undefined: 'DELIVERED',
  read: 'READ',
  played: 'PLAYED',
  'read-self': 'READ_SELF',
  'played-self': 'PLAYED_SELF',
  inactive: 'INACTIVE',
};
const RULES = { announcement: ['Announce', true], not_announcement: ['Announce', false], locked: ['Locked', true], unlocked: ['Locked', false] };
const MEMBERS = { add: 'Join', remove: 'Leave', promote: 'Promote', demote: 'Demote' };
const REQUESTS = ['created_membership_requests', 'revoked_membership_requests', 'membership_approval_request'];


export function receiptOf({ attrs, content }, me) {
  const kind = RECEIPTS[attrs.type];
  if (!kind) return null;
  const list = childrenOf({ content }).find((child) => child.tag === 'list');
  const ids = [attrs.id, ...childrenOf(list).map((item) => item.attrs.id)];
  const sender = attrs.participant ?? attrs.from;
  const mine = [bare(me?.id), bare(me?.lid)].includes(bare(sender));
  const chat = mine && attrs.recipient && !isGroup(attrs.from) ? attrs.recipient : attrs.from;
  return {
    Type: kind,
    MessageIDs: ids,
    Timestamp: attrs.t ?? '0',
    MessageSource: {
      Chat: jidOf(bare(chat)),
      Sender: jidOf(sender),
      SenderAlt: jidOf(attrs.participant_pn ?? attrs.participant_lid ?? attrs.sender_pn ?? attrs.sender_lid),
      RecipientAlt: jidOf(attrs.recipient_pn ?? attrs.recipient_lid),
      IsFromMe: mine,
      IsGroup: isGroup(attrs.from),
    },
  };
}

export function callOf(node) {
  const [about] = childrenOf(node);
  if (!about) return null;
  const { attrs } = node;
  const call = {
    basicCallMeta: {
      from: jidOf(attrs.from),
      callCreator: jidOf(about.attrs['call-creator']),
      callCreatorAlt: jidOf(about.attrs.caller_pn ?? attrs.sender_pn ?? attrs.sender_lid),
      callID: about.attrs['call-id'],
      timestamp: attrs.t ?? '0',
    },
  };
  switch (about.tag) {
    case 'offer':
      return ['CallOffer', { ...call, data: { Nodes: childrenOf(about).map(({ tag }) => ({ Tag: tag })) } }];
    case 'offer_notice':
      return ['CallOfferNotice', { ...call, media: about.attrs.media }];
    case 'terminate':
      return ['CallTerminate', { ...call, reason: about.attrs.reason }];
    default:
      return null;
  }
}

export function presenceOf({ attrs }) {
  return {
    From: jidOf(attrs.from),
    Unavailable: attrs.type === 'unavailable',
    LastSeen: attrs.last && attrs.last !== 'deny' ? attrs.last : '0',
  };
}

export function writingOf({ attrs, content }) {
  const [shown] = content ?? [];
  return {
    MessageSource: {
      Chat: jidOf(attrs.from),
      SenderAlt: jidOf(attrs.sender_pn ?? attrs.sender_lid),
      IsGroup: isGroup(attrs.from),
      IsFromMe: false,
    },
    State: shown?.tag === 'composing' ? 'COMPOSING' : 'PAUSED',
    Media: shown?.attrs?.media === 'audio' ? 'AUDIO' : 'TEXT',
  };
}

// Returns the events of a notification, by name.
export function notificationsOf(node) {
  switch (node.attrs.type) {
    case 'w:gp2':
      return groupChanges(node);
    case 'picture':
      return pictureChange(node);
    default:
      return [];
  }
}

function pictureChange(node) {
  const [change] = childrenOf(node);
  const removed = change?.tag === 'delete';
  if (!removed && change?.tag !== 'set') return [];
  return [['Picture', {
    JID: jidOf(bare(change.attrs.jid ?? node.attrs.from)),
    Author: jidOf(change.attrs.author),
    Timestamp: node.attrs.t ?? '0',
    Remove: removed,
  }]];
}

function groupChanges(node) {
  const { attrs } = node;
  const change = { JID: jidOf(attrs.from), Sender: jidOf(attrs.participant_pn ?? attrs.participant), Timestamp: attrs.t ?? '0' };
  for (const child of childrenOf(node)) {
    if (child.tag === 'create') return [['JoinedGroup', joined(child, attrs)]];
    const people = childrenOf(child).filter(({ tag }) => tag === 'participant').map(personOf);
    if (child.tag === 'subject') change.Name = { Name: child.attrs.subject ?? '' };
    else if (child.tag === 'description') change.Topic = { Topic: textOf(childOf(child, 'body')) };
    else if (RULES[child.tag]) change[RULES[child.tag][0]] = { on: RULES[child.tag][1] };
    else if (MEMBERS[child.tag]) change[MEMBERS[child.tag]] = people;
    else if (REQUESTS.includes(child.tag)) (change.UnknownChanges ??= []).push(asked(child));
  }
  return [['GroupInfoEvent', change]];
}

const personOf = ({ attrs }) => jidOf(attrs.phone_number ?? attrs.jid);

function asked(node) {
  return {
    Tag: node.tag,
    Attrs: Object.entries(node.attrs).map(([name, text]) => ({ name, text })),
    Nodes: childrenOf(node).map(({ tag, attrs }) => ({
      Tag: tag,
      Attrs: [{ name: 'jid', jid: jidOf(attrs.phone_number ?? attrs.jid) }],
    })),
  };
}

function joined(node, { participant, participant_pn }) {
  const [group] = childrenOf(node);
  const { id, subject } = group?.attrs ?? {};
  return {
    Type: node.attrs.type ?? '',
    Sender: jidOf(participant),
    SenderPN: jidOf(participant_pn),
    GroupInfo: {
      JID: jidOf(id?.includes('@') ? id : `${id}@g.us`),
      GroupName: { Name: subject ?? '' },
    },
  };
}
