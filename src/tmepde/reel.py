"""A run recorded piece by piece, and pulled back piece by piece, by two programs that are called from outside.

Where a derivative is taken outside ``jax.jit``, numbers are at hand while it is taken: how many steps there were, and
what has room. So neither the run nor its derivative need be one program. A *piece* is up to R attempted steps in a row
of one save interval. One program makes a piece and fills a *chunk* (states before its steps and what their equations
gave, room for R steps, one after the other, whichever pieces they belong to); another pulls one back. What is not kept
is made again by the first program, from the same state and controller, so that it is the same to the last bit.

Compared with one program for all (:mod:`tmepde.adjoint`) that is two thirds of the operations, compiled in two parts,
and kept steps take no more memory than there are steps.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tmepde._heap import return_memory
from tmepde._results import Status
from tmepde._types import Frame, State, is_traced, parted
from tmepde.integrate import Progress, Record, march, room
from tmepde.replay import Replay

#: chunk of a piece that is not kept
_NOWHERE = -1
#: seconds of a first call that was a compilation, which leaves enough memory behind to be returned
_COMPILED = 2.0


class Piece(eqx.Module):
    """``count`` accepted steps in a row of a save interval, between the local times ``start`` and ``stop``.

    ``chunk``: its number; ``log.offset``: the place of the first step in it. ``state``: before them, where it is not in
    a chunk and does not follow from the piece before. ``progress``: the controller before them.
    """

    interval: int = eqx.field(static=True)
    chunk: int = eqx.field(static=True)
    state: State | None
    progress: Progress
    start: Any
    stop: Any = None
    log: Record | None = None
    count: int = eqx.field(static=True, default=0)


class Reel(eqx.Module):
    """All pieces of a run in their order, and the chunks that are kept."""

    pieces: list[Piece]
    chunks: list[Any]


class Recorder:
    """The programs of a run and what stays the same in all their calls.

    Args:
        problem, control: the one without what is differentiated, the other as it is.
        spans: base, local start and local end of each save interval, as arrays.
        kept, segment: steps that are kept, and those of a chunk.
    """

    def __init__(self, problem: Any, stepper: Any, control: Any, spans: tuple[Any, ...], kept: int, segment: int):
        constants, self.rest = parted((problem, stepper))
        self.segment, self.most = segment, kept // segment
        self.fixed = (constants, control)
        self.spans = [tuple(np.asarray(x)[i] for x in spans) for i in range(len(spans[0]))]

    @staticmethod
    def suits(*trees: Any) -> bool:
        """Whether numbers are at hand, so that programs can be called."""
        return not is_traced(trees)

    def record(self, arrays: Any, state: State, progress: Progress) -> tuple[tuple[State, Progress], Reel]:
        """The states at the ends of the save intervals (stacked) with the controller at the end, and the reel."""
        pieces: list[Piece] = []
        chunks: list[Any] = []
        ends = []
        chunk, used = self._blank(state), 0
        for number, (_, local, end) in enumerate(self.spans):
            known, going = False, True  # whether the state before follows from the piece before
            while going:
                keep = len(chunks) < self.most
                place = used if keep else 0
                piece = Piece(
                    number, len(chunks) if keep else _NOWHERE, None if keep or known else state, progress, local
                )
                state, progress, local, log, chunk = self._made(arrays, piece, state, chunk, place)
                count, there, status = jax.device_get((log.count, local, progress.status))
                pieces.append(dataclasses.replace(piece, log=log, stop=local, count=int(count)))
                known, used = not keep, place + int(count)
                if keep and used == self.segment:
                    chunks.append(chunk)
                    chunk, used = self._blank(state), 0
                going = bool(there < end) and status == Status.ok
            ends.append(state)
        if pieces[-1].chunk == len(chunks):
            chunks.append(chunk)
        return (_stacked(ends), progress), Reel(pieces, chunks)

    def pull_back(self, arrays: Any, reel: Reel, cotangent: State, flows: Any) -> tuple[Any, State]:
        """(ḡ, ū) at the start from those of the states at the ends of the save intervals, and of the budgets
        (``flows``; ``None``: those are not asked for)."""
        gradient, adjoint = jax.tree.map(jnp.zeros_like, (arrays, {n: u[0] for n, u in cotangent.items()}))
        number = len(self.spans)
        for piece, chunk in self._backwards(arrays, reel):
            while number > piece.interval:
                number -= 1
                adjoint = _arrived(adjoint, cotangent, number)
            if piece.count:
                span, reach = self.spans[piece.interval], (piece.start, piece.stop)
                given = (arrays, *self.fixed, self.rest, span, reach, piece.log, chunk)
                gradient, adjoint = _trimmed(pull_program, *given, gradient, adjoint, flows)
        return gradient, adjoint

    def _made(self, arrays: Any, piece: Piece, state: State, chunk: Any, place: int) -> tuple[Any, ...]:
        """The state, controller and local time after ``piece``, its log, and the chunk with its steps."""
        base, begin, end = self.spans[piece.interval]
        where = (base, begin, piece.start, end)
        given = (arrays, *self.fixed, self.rest, self.segment, state, piece.progress, where)
        return _trimmed(record_program, *given, chunk, np.asarray(place))

    def _backwards(self, arrays: Any, reel: Reel) -> Iterator[tuple[Piece, Any]]:
        """Pieces from the last to the first, each with the chunk its steps are in."""
        waiting: list[Piece] = []
        for piece in reversed(reel.pieces):
            if piece.chunk != _NOWHERE:
                yield piece, reel.chunks[piece.chunk]
                continue
            waiting.insert(0, piece)
            if piece.state is not None:
                yield from self._repeated(arrays, waiting)
                waiting = []

    def _repeated(self, arrays: Any, pieces: list[Piece]) -> Iterator[tuple[Piece, Any]]:
        """The same for pieces that follow from the state of the first: once through for the states between them, then
        each once more from the last (the last has just been made)."""
        first = pieces[0].state
        assert first is not None
        states, chunk = [first], self._blank(first)
        for piece in pieces:
            state, *_, chunk = self._made(arrays, piece, states[-1], chunk, 0)
            states.append(state)
        for number in reversed(range(len(pieces))):
            if number < len(pieces) - 1:
                *_, chunk = self._made(arrays, pieces[number], states[number], chunk, 0)
            yield pieces[number], chunk

    def _blank(self, state: State) -> Any:
        return blank_program(self.fixed[0], self.rest, self.segment, state)


def _trimmed(program: Any, *given: Any) -> Any:
    """The result of ``program``, and what its compilation has left behind returned to the system."""
    began = time.perf_counter()
    found = program(*given)
    if time.perf_counter() - began > _COMPILED:
        return_memory()
    return found


@functools.partial(jax.jit, static_argnums=(1, 2))
def blank_program(constants: list[Any], rest: Frame, segment: int, state: State) -> Any:
    """An empty chunk."""
    problem, stepper = rest.filled(constants)
    return room(problem, stepper, state, segment)


@functools.partial(jax.jit, static_argnums=(3, 4), donate_argnums=8)
def record_program(
    arrays: Any,
    constants: list[Any],
    control: Any,
    rest: Frame,
    segment: int,
    state: State,
    progress: Progress,
    span: tuple[Any, ...],
    chunk: Any,
    place: Any,
) -> tuple[State, Progress, Any, Record, Any]:
    """As many steps as there is room for in ``chunk``, after ``place`` of them, or as the save interval has."""
    problem, stepper = rest.filled(constants)
    which = (eqx.combine(arrays, problem), stepper, control)
    state, progress, local, log = march(
        *which, state, progress, span, segment - place, record=segment, kept=chunk, offset=place
    )
    steps = dataclasses.replace(log, kept=None)
    found = jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), (state, progress, local, steps))
    return *found, log.kept  # none weakly typed, so that the next call is one of the same program


@functools.partial(jax.jit, static_argnums=3)
def pull_program(
    arrays: Any,
    constants: list[Any],
    control: Any,
    rest: Frame,
    span: tuple[Any, Any, Any],
    reach: tuple[Any, Any],
    log: Record,
    chunk: Any,
    gradient: Any,
    adjoint: State,
    flows: Any,
) -> tuple[Any, State]:
    """(ḡ, ū) before a piece from those after it."""
    problem, stepper = rest.filled(constants)

    def kept(index: Any) -> tuple[State, Any]:
        found: tuple[State, Any] = jax.tree.map(lambda s: s[log.offset + index], chunk)
        return found

    first, _ = kept(0)
    steps = Replay(stepper, control, arrays, problem, span, first, log, reach)

    def sweep(i: Any, carry: tuple[Any, State]) -> tuple[Any, State]:
        index = log.count - 1 - i
        return steps.pulled(index, kept(index), carry, flows)

    zero = jax.tree.map(jnp.zeros_like, steps.arrays[1])
    (gradient, bases), adjoint = jax.lax.fori_loop(0, log.count, sweep, ((gradient, zero), adjoint))
    more = steps.prepared(bases)
    found: tuple[Any, State] = jax.tree.map(jnp.add, (gradient, adjoint), more)
    return found


@jax.jit
def _stacked(states: list[State]) -> State:
    return jax.tree.map(lambda *u: jnp.stack(u), *states)


@jax.jit
def _arrived(adjoint: State, cotangent: State, number: Any) -> State:
    """``adjoint`` with what the state at the end of a save interval adds."""
    return jax.tree.map(lambda a, c: a + c[number], adjoint, cotangent)
