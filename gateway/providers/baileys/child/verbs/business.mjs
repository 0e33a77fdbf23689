// Business profiles and catalogues, in the form in which the engine reads them.

import { childOf, childrenOf, textOf } from '../nodes.mjs';

const PROFILE = 'business_profile';

async function business_profile({ sock }, { jid }) {
  const answer = await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', xmlns: 'w:biz', type: 'get' },
    content: [{ tag: PROFILE, attrs: { v: '244' }, content: [{ tag: 'profile', attrs: { jid } }] }],
  });
  const profile = childOf(childOf(answer, PROFILE), 'profile');
  const hours = childOf(profile, 'business_hours');
  return {
    description: textOf(childOf(profile, 'description')),
    address: textOf(childOf(profile, 'address')),
    email: textOf(childOf(profile, 'email')),
    websites: childrenOf(profile).filter(({ tag }) => tag === 'website').map(textOf),
    categories: childrenOf(childOf(profile, 'categories')).map((each) => ({ id: each.attrs.id, name: textOf(each) })),
    hours: hours ? { timezone: hours.attrs.timezone, days: childrenOf(hours).map(({ attrs }) => attrs) } : null,
    hasCover: Boolean(childOf(profile, 'cover_photo')),
  };
}

async function set_business_texts({ sock }, { texts }) {
  await sock.updateBussinesProfile(texts);
}

async function set_business_hours({ sock }, { timezone, days }) {
  await sock.updateBussinesProfile({ hours: { timezone, days } });
}

// The library has no method for it; the shape is that of the other parts of a profile.
async function set_business_categories({ sock }, { ids }) {
  await sock.query({
    tag: 'iq',
    attrs: { to: 's.whatsapp.net', type: 'set', xmlns: 'w:biz' },
    content: [{
      tag: PROFILE,
      attrs: { v: '3', mutation_type: 'delta' },
      content: [{ tag: 'categories', attrs: {}, content: ids.map((id) => ({ tag: 'category', attrs: { id } })) }],
    }],
  });
}

async function catalog({ sock }, { jid, limit, cursor }) {
  const { products, nextPageCursor } = await sock.getCatalog({ jid, limit, cursor: cursor ?? undefined });
  return { products, cursor: nextPageCursor ?? null };
}

async function collections({ sock }, { jid }) {
  return (await sock.getCollections(jid)).collections;
}

async function save_product({ sock }, { id, product, images }) {
  const given = { ...product, images: images.map((jpeg) => Buffer.from(jpeg, 'base64')) };
  const saved = await (id ? sock.productUpdate(id, given) : sock.productCreate(given));
  return saved.id;
}

async function delete_product({ sock }, { id }) {
  return (await sock.productDelete([id])).deleted;
}

export const BUSINESS = {
  business_profile, set_business_texts, set_business_hours, set_business_categories, catalog, collections, save_product,
  delete_product,
};
