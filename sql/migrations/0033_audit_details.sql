-- Who did an act, on what, and what it changed. (compatible with: 0001)

alter table audit_log
    add column credential text,
    add column user_name  text,
    add column outcome    text,
    add column details    jsonb;

comment on column audit_log.credential is
    'What the caller showed: instance_token, client_token, partner_token, command_line.';
comment on column audit_log.user_name is 'Who held it, where that is known.';
comment on column audit_log.outcome is
    'done, or the class of the error; null while the act runs, or where its node died.';
comment on column audit_log.details is
    '{given, before, after}: what was asked for, and the values that differ. Never a text, a phone or a secret.';
