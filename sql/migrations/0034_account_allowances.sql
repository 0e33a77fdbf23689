-- What an account held when limits came keeps its room. (compatible with: 0001)

alter table accounts
    add column allowed_instances    integer not null default 0,
    add column allowed_stored_bytes bigint  not null default 0;

comment on column accounts.allowed_instances is
    'As many instances are allowed in any case: twice those of the day when the limit came.';
comment on column accounts.allowed_stored_bytes is
    'As many bytes of files are allowed in any case: twice those of the day when the limit came.';

update accounts a set
    allowed_instances = 2 * (select count(*) from instances i where i.account_id = a.id),
    allowed_stored_bytes = 2 * coalesce((
        select sum(m.size_bytes) from instances i join media m on m.instance_id = i.id
        where i.account_id = a.id
    ), 0);
