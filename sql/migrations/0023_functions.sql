-- Which functions of sql/functions this database has, and by which text. (compatible with: 0001)

create table schema_functions (
    name       text primary key,
    sha256     text not null,
    released   boolean not null,
    applied_at timestamptz not null default now()
);
comment on column schema_functions.released is
    'A released function is never replaced; one in development is, when its text changed.';
