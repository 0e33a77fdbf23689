// Channels, in the form in which the engine reads them.

import { jidOf } from '../jids.mjs';
import { childOf, textOf } from '../nodes.mjs';

const SUBSCRIBED = '6388546374527196';
const UPDATE = '24250201037901610';

function shown({ id, state, thread_metadata: about = {}, viewer_metadata: mine = {} }) {
  return {
    ID: jidOf(id),
    State: { Type: (state?.type ?? 'ACTIVE').toUpperCase() },
    ThreadMeta: {
      CreationTime: about.creation_time ?? 0,
      Name: { Text: about.name?.text ?? '' },
      Description: { Text: about.description?.text ?? '' },
      SubscriberCount: about.subscribers_count ?? 0,
      InviteCode: about.invite ?? '',
      VerificationState: (about.verification ?? 'UNVERIFIED').toUpperCase(),
      Picture: { URL: pictureOf(about.picture) },
      Preview: { URL: pictureOf(about.preview) },
    },
    ViewerMeta: { Mute: (mine.mute ?? 'OFF').toUpperCase(), Role: (mine.role ?? 'GUEST').toUpperCase() },
  };
}

const pictureOf = (picture) => picture?.url ?? (picture?.direct_path ? `https://mmg.whatsapp.net${picture.direct_path}` : '');

// Runs a query of WhatsApp's other interface, which the library has no method for.
async function mex({ sock }, query_id, variables, field) {
  const answer = await sock.query({
    tag: 'iq',
    attrs: { type: 'get', to: 's.whatsapp.net', xmlns: 'w:mex' },
    content: [{ tag: 'query', attrs: { query_id }, content: Buffer.from(JSON.stringify({ variables })) }],
  });
  const { data, errors } = JSON.parse(textOf(childOf(answer, 'result')) || '{}');
  if (errors?.length) throw new Error(errors.map(({ message }) => message).join(', '));
  return data?.[field];
}

async function create_channel({ sock }, { name, description }) {
  return { ID: jidOf((await sock.newsletterCreate(name, description)).id) };
}

async function channel({ sock }, { jid }) {
  const found = await sock.newsletterMetadata('jid', jid);
  if (!found) throw new Error('WhatsApp knows no such channel');
  return shown(found);
}

async function channels(session) {
  return ((await mex(session, SUBSCRIBED, {}, 'xwa2_newsletter_subscribed')) ?? []).map(shown);
}

async function follow({ sock }, { jid }) {
  await sock.newsletterFollow(jid);
}

async function unfollow({ sock }, { jid }) {
  await sock.newsletterUnfollow(jid);
}

async function mute_channel({ sock }, { jid, on }) {
  await (on ? sock.newsletterMute(jid) : sock.newsletterUnmute(jid));
}

async function delete_channel({ sock }, { jid }) {
  await sock.newsletterDelete(jid);
}

async function rename_channel({ sock }, { jid, name }) {
  await sock.newsletterUpdateName(jid, name);
}

async function describe_channel({ sock }, { jid, text }) {
  await sock.newsletterUpdateDescription(jid, text);
}

// The library's own method would scale the picture with another package.
async function set_channel_picture({ sock }, { jid, jpeg }) {
  await sock.newsletterUpdate(jid, { picture: jpeg });
}

async function demote_channel_admin({ sock }, { jid, user }) {
  await sock.newsletterDemote(jid, user);
}

async function transfer_channel({ sock }, { jid, user }) {
  await sock.newsletterChangeOwner(jid, user);
}

// Sets who may react: `ALL`, `BASIC` or `NONE`. The library's own method leaves settings out.
async function set_channel_reactions(session, { jid, value }) {
  const settings = { reaction_codes: { value } };
  await mex(session, UPDATE, { newsletter_id: jid, updates: { settings } }, 'xwa2_newsletter_update');
}

export const CHANNELS = {
  create_channel, channel, channels, follow, unfollow, mute_channel, delete_channel, rename_channel, describe_channel,
  set_channel_picture, demote_channel_admin, transfer_channel, set_channel_reactions,
};
