from gan_lightning.demo.history import LONGEST, History


def test_undo_goes_back_step_by_step_and_never_beyond_the_first() -> None:
    history = History[int]().record(1).record(2).record(2).record(3)
    assert history.entries == (1, 2, 3)
    history = history.undo(3)
    assert history.newest == 2
    assert history.undo(2).undo(1).undo(1).entries == (1,)


def test_undo_of_a_state_that_was_not_recorded_gives_the_newest_that_was() -> None:
    history = History((1, 2))
    assert history.undo(7).newest == 2
    assert history.undo(None).newest == 2


def test_the_oldest_are_forgotten() -> None:
    history = History[int]()
    for state in range(LONGEST + 5):
        history = history.record(state)
    assert len(history.entries) == LONGEST
    assert history.newest == LONGEST + 4


def test_an_empty_history_has_no_newest() -> None:
    assert History().newest is None
    assert History().undo(None) == History()
