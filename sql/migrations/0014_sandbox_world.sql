-- What the sandbox's WhatsApp holds: groups, channels, contacts, profiles. (compatible with: 0001)

-- `instance_id` is whose it is; of a group or channel, who made it. `version` counts changes, so
-- that whoever changes one sees that somebody else did. `body -> members` holds roles by number.
create table sandbox.entities (
    instance_id text not null,
    kind        text not null,
    id          text not null,
    version     bigint not null default 1,
    body        jsonb not null,
    primary key (instance_id, kind, id)
);
create index entities_by_id on sandbox.entities (kind, id);
create index entities_by_member on sandbox.entities using gin ((body -> 'members'));
create index entities_by_invite on sandbox.entities ((body ->> 'invite')) where body ? 'invite';
create index entities_by_community on sandbox.entities ((body ->> 'community'))
    where body ? 'community';
create index phones_by_number on sandbox.phones (phone);
