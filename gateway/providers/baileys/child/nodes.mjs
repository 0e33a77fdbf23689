// Reads stanzas of WhatsApp.

export const childrenOf = (node) => (Array.isArray(node?.content) ? node.content : []);
export const childOf = (node, tag) => childrenOf(node).find((child) => child.tag === tag);
export const textOf = (node) => (node?.content ? Buffer.from(node.content).toString() : '');
