"""Logs: rows after a resume, torn rows, event files read by their format, bar and plain lines."""

import io
import json
import struct

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from vision_jax.core import writers
from vision_jax.core.errors import InputError


def write(folder, steps, *, resumed_at=0):
    """One row a step."""
    writer = writers.MetricWriter(folder, step=resumed_at)
    for step in steps:
        writer.write(step, 'train', {'loss': 1 / step})
    writer.close()


def logged(folder) -> list[dict]:
    """The rows of the log."""
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def events(folder) -> list[event_pb2.Event]:
    """All events: records of length (uint64), checksum (uint32), data, checksum (uint32)."""
    found = []
    for path in sorted((folder / 'tensorboard').iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from('<Q', data, at)
            found.append(event_pb2.Event.FromString(data[at + 12:at + 12 + length]))
            at += length + 16
    return found


def test_rows_of_steps_to_be_done_again_are_taken_out(tmp_path):
    write(tmp_path, range(1, 8))
    write(tmp_path, range(5, 9), resumed_at=4)
    assert [row['step'] for row in logged(tmp_path)] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize('torn', ['{"step": 9, "lo', '{', '{"step": 9}'])
def test_a_row_that_was_cut_off_is_dropped(tmp_path, torn):
    write(tmp_path, range(1, 4))
    with (tmp_path / 'metrics.jsonl').open('a') as file:
        file.write(torn)
    write(tmp_path, [4], resumed_at=9)
    assert [row['step'] for row in logged(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize('line', ['my notes', '[1, 2]', '{"loss": 1}', '\x00'])
def test_a_foreign_file_is_refused_and_kept(tmp_path, line):
    path = tmp_path / 'metrics.jsonl'
    path.write_text(f'{line}\n{{"step": 1}}\n')
    with pytest.raises(InputError, match='line 1 is no row'):
        writers.MetricWriter(tmp_path)
    assert path.read_text().startswith(line)
    assert [p.name for p in tmp_path.iterdir()] == ['metrics.jsonl']


def test_what_is_not_finite_is_null_in_json_and_no_event(tmp_path):
    writer = writers.MetricWriter(tmp_path)
    writer.write(2, 'eval', {'srocc': np.nan, 'loss': 0.5, 'rate': np.inf})
    writer.close()
    text = (tmp_path / 'metrics.jsonl').read_text()
    assert 'NaN' not in text
    assert json.loads(text) == {
        'step': 2, 'kind': 'eval', 'srocc': None, 'loss': 0.5, 'rate': None
    }
    values = [(e.step, v.tag, v.simple_value) for e in events(tmp_path) for v in e.summary.value]
    assert values == [(2, 'eval/loss', 0.5)]


def test_event_files_say_where_a_run_resumed(tmp_path):
    write(tmp_path, range(1, 8))
    write(tmp_path, range(5, 7), resumed_at=4)
    found = events(tmp_path)
    scalars = [(e.step, v.simple_value) for e in found for v in e.summary.value]
    assert scalars == [(s, np.float32(1 / s)) for s in [1, 2, 3, 4, 5, 6, 7, 5, 6]]
    # TensorBoard drops what an earlier file has from this step on.
    starts = [e.step for e in found if e.session_log.status == event_pb2.SessionLog.START]
    assert starts[-1] == 5


def test_rows_are_with_the_system_at_once(tmp_path):
    writer = writers.MetricWriter(tmp_path)
    writer.write(1, 'train', {'loss': 1.0})
    assert len(logged(tmp_path)) == 1
    writer.close()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def run_progress(stream, monkeypatch):
    """Steps 3 to 8 of 10, a second each."""
    clock = iter(range(100))
    monkeypatch.setattr(writers.time, 'monotonic', lambda: float(next(clock)))
    progress = writers.Progress(10, step=2, stream=stream)
    for step in range(3, 9):
        progress.advance(step)
        if step in (4, 8):
            progress.write(step, 'train', {'loss': 0.25, 'param_norm': 3.0})
    progress.write(8, 'eval', {'srocc': 0.5})
    progress.close()
    return stream.getvalue()


def test_plain_lines_have_rate_and_remaining_time(monkeypatch):
    lines = run_progress(io.StringIO(), monkeypatch).splitlines()
    assert lines == [
        'train 4/10  loss 0.25  2 steps/s  ETA 0:00:03',
        'train 8/10  loss 0.25  3 steps/s  ETA 0:00:01',
        'eval 8/10  srocc 0.5  2 steps/s  ETA 0:00:01',
    ]


def test_a_terminal_has_a_bar(monkeypatch):
    text = run_progress(Terminal(), monkeypatch)
    last = text.split('\r')[-1]
    assert '8/10' in last
    assert 'step/s' in last
    assert 'loss 0.25' in text
    assert 'eval 8  srocc 0.5' in text
    assert '80%' in last


def test_work_without_rows_has_a_plain_line_every_tenth(monkeypatch):
    stream, clock = io.StringIO(), iter(range(100))
    monkeypatch.setattr(writers.time, 'monotonic', lambda: float(next(clock)))
    progress = writers.Progress(25, stream=stream, unit='image', title='building x', lines=10)
    for step in range(1, 26):
        progress.advance(step)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == 'building x 3/25 images  3 images/s  ETA 0:00:07'
    assert [line.split()[2] for line in lines] == [
        f'{step}/25' for step in (3, 5, 8, 10, 13, 15, 18, 20, 23, 25)]


def test_a_short_work_has_a_line_a_step():
    stream = io.StringIO()
    progress = writers.Progress(2, stream=stream, unit='image', title='building x', lines=10)
    progress.advance(1)
    progress.advance(2)
    assert len(stream.getvalue().splitlines()) == 2


def test_steps_done_many_at_a_time_have_their_lines():
    stream = io.StringIO()
    progress = writers.Progress(100, stream=stream, unit='image', title='x', lines=2)
    for step in (45, 90, 100):
        progress.advance(step)
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ['90/100', '100/100']


def test_finite_json_reaches_into_everything():
    value = {'a': [np.nan, 1, {'b': -np.inf}], 'c': (True, None, 'x', 0.5)}
    assert writers.finite_json(value) == {'a': [None, 1, {'b': None}], 'c': [True, None, 'x', 0.5]}
