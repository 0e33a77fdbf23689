-- Nodes that can check a call of another node before they read it. (compatible with: 0001)

alter table nodes add column signed_life uuid;
comment on column nodes.signed_life is
    'Equals life where that process signs calls with a nonce and a digest (X-Relay-Signature "2:").';
