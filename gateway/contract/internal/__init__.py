"""Operations that only this gateway executes; they have no route."""
