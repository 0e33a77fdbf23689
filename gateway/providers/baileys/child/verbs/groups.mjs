// Groups and communities, in the form in which the engine reads them.

import { bare, isLid, isPhone, jidOf } from '../jids.mjs';
import { childOf, childrenOf } from '../nodes.mjs';
import { set_picture } from './account.mjs';

const LINK = 'https://chat.whatsapp.com/';

function shown(group) {
  return {
    JID: jidOf(group.id),
    GroupName: { Name: group.subject ?? '' },
    GroupTopic: { Topic: group.desc ?? '' },
    GroupCreated: group.creation || 0,
    OwnerJID: jidOf(group.owner),
    OwnerPN: jidOf(group.ownerPn),
    GroupAnnounce: { IsAnnounce: group.announce },
    GroupLocked: { isLocked: group.restrict },
    GroupParent: { IsParent: group.isCommunity },
    GroupIsDefaultSub: { IsDefaultSubGroup: group.isCommunityAnnounce },
    GroupLinkedParent: { LinkedParentJID: jidOf(group.linkedParent) },
    GroupMembershipApprovalMode: { IsJoinApprovalRequired: group.joinApprovalMode },
    Participants: group.participants.map(person),
  };
}

function person({ id, phoneNumber, lid, admin }) {
  return {
    JID: jidOf(id),
    PhoneNumber: jidOf(phoneNumber ?? (isPhone(id) ? bare(id) : undefined)),
    LID: jidOf(lid ?? (isLid(id) ? bare(id) : undefined)),
    IsAdmin: Boolean(admin),
    IsSuperAdmin: admin === 'superadmin',
  };
}

async function joined_groups({ sock }) {
  return Object.values(await sock.groupFetchAllParticipating()).map(shown);
}

async function group({ sock }, { jid }) {
  return shown(await sock.groupMetadata(jid));
}

async function group_of_link({ sock }, { code }) {
  return shown(await sock.groupGetInviteInfo(code));
}

async function create_group(session, { name, people, community }) {
  if (community) return shown(await createCommunity(session, name));
  return shown(await session.sock.groupCreate(name, people));
}

// The library's own `communityCreate` reads the answer for groups only.
async function createCommunity(session, name) {
  const { sock, library } = session;
  const answer = await sock.query({
    tag: 'iq',
    attrs: { type: 'set', xmlns: 'w:g2', to: '@g.us' },
    content: [{
      tag: 'create',
      attrs: { subject: name, key: sock.generateMessageTag() },
      content: [{ tag: 'parent', attrs: { default_membership_approval_mode: 'request_required' } }],
    }],
  });
  return library.extractGroupMetadata(answer);
}

async function rename_group({ sock }, { jid, name }) {
  await sock.groupUpdateSubject(jid, name);
}

async function describe_group({ sock }, { jid, text }) {
  await sock.groupUpdateDescription(jid, text);
}

async function set_group_picture(session, { jid, jpeg }) {
  await set_picture(session, jid, jpeg);
}

async function announce({ sock }, { jid, on }) {
  await sock.groupSettingUpdate(jid, on ? 'announcement' : 'not_announcement');
}

async function lock({ sock }, { jid, on }) {
  await sock.groupSettingUpdate(jid, on ? 'locked' : 'unlocked');
}

async function approve_members({ sock }, { jid, on }) {
  await sock.groupJoinApprovalMode(jid, on ? 'on' : 'off');
}

async function restrict_adding({ sock }, { jid, on }) {
  await sock.groupMemberAddMode(jid, on ? 'admin_add' : 'all_member_add');
}

async function change_members({ sock }, { jid, people, change }) {
  const changed = await sock.groupParticipantsUpdate(jid, people, change);
  return changed.map(({ status, jid: who }) => ({ JID: jidOf(who), Error: status === '200' ? 0 : Number(status) }));
}

async function decide_requests({ sock }, { jid, people, action }) {
  return sock.groupRequestParticipantsUpdate(jid, people, action);
}

async function leave_group({ sock }, { jid }) {
  await sock.groupLeave(jid);
}

async function group_link({ sock }, { jid, renew }) {
  const code = await (renew ? sock.groupRevokeInvite(jid) : sock.groupInviteCode(jid));
  if (!code) throw new Error('WhatsApp gave no link');
  return LINK + code;
}

async function join({ sock }, { code }) {
  return sock.groupAcceptInvite(code);
}

async function sub_groups({ sock }, { jid }) {
  const answer = await sock.query({
    tag: 'iq',
    attrs: { type: 'get', xmlns: 'w:g2', to: jid },
    content: [{ tag: 'sub_groups', attrs: {} }],
  });
  const found = childrenOf(childOf(answer, 'sub_groups')).filter(({ tag }) => tag === 'group');
  return found.map((each) => ({
    JID: jidOf(each.attrs.id.includes('@') ? each.attrs.id : `${each.attrs.id}@g.us`),
    GroupName: { Name: each.attrs.subject ?? '' },
    GroupIsDefaultSub: { IsDefaultSubGroup: Boolean(childOf(each, 'default_sub_group')) },
  }));
}

async function link_group({ sock }, { parent, child }) {
  await sock.communityLinkGroup(child, parent);
}

async function unlink_group({ sock }, { parent, child }) {
  await sock.communityUnlinkGroup(child, parent);
}

// The library has no methods for these two.
async function end_community({ sock }, { jid }) {
  await sock.query({
    tag: 'iq',
    attrs: { type: 'set', xmlns: 'w:g2', to: jid },
    content: [{ tag: 'delete_parent', attrs: {} }],
  });
}

async function let_members_add_groups({ sock }, { jid, on }) {
  const tag = on ? 'allow_non_admin_sub_group_creation' : 'not_allow_non_admin_sub_group_creation';
  await sock.query({ tag: 'iq', attrs: { type: 'set', xmlns: 'w:g2', to: jid }, content: [{ tag, attrs: {} }] });
}

export const GROUPS = {
  joined_groups, group, group_of_link, create_group, rename_group, describe_group, set_group_picture, announce, lock,
  approve_members, restrict_adding, change_members, decide_requests, leave_group, group_link, join, sub_groups,
  link_group, unlink_group, end_community, let_members_add_groups,
};
