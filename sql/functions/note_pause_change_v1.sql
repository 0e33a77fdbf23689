-- Notes when a queue was paused or resumed, whichever release did it.
create or replace function note_pause_change_v1() returns trigger language plpgsql as $$
begin
    new.pause_changed_at := now();
    return new;
end
$$;

create or replace trigger pause_changed before update of paused on instance_lines
    for each row when (new.paused is distinct from old.paused)
    execute function note_pause_change_v1();
