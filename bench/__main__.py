"""``make bench``: pages of Dossier on each database and size, beside the floor; see the README."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from bench.limits import check
from bench.measure import make_rows, measure
from bench.prepare import EMAIL, PASSWORD, SERVER, STORES, Size, Store, make_token, prepare
from bench.report import Result, describe, write
from bench.server import Client, serve
from webapp.config import ROOT


def main() -> int:
    databases, sizes, rounds, folder = read_options()
    results = []
    with serve("bench.floor:app", SERVER) as floor:
        for database in databases:
            with STORES[database](folder) as store:
                for size in sizes:
                    result = run(store, size, floor, rounds)
                    write(result)
                    print(f"\n{result.heading}\n\n{describe(result)}", flush=True)
                    results.append(result)
    verdicts = list(check(results))
    print("\nLimits (most of them are for 1m and 10m users)", *verdicts, sep="\n  ")
    return 0 if all(verdict.is_kept for verdict in verdicts) else 1


def read_options() -> tuple[list[str], list[Size], int, Path]:
    """From the environment; ends the program where they mean nothing."""
    databases = os.environ.get("DBS", "sqlite,postgres").split(",")
    if not STORES.keys() >= set(databases):
        raise SystemExit(f"DBS is {','.join(databases)!r}: set it to some of {','.join(STORES)}.")
    labels = os.environ.get("SIZES", "1k,100k,1m").split(",")
    if not all(re.fullmatch(r"[1-9]\d{0,2}[km]", label) for label in labels):
        raise SystemExit(f"SIZES is {','.join(labels)!r}: set it to numbers of users such as 1k,100k,1m,10m.")
    rounds = os.environ.get("ROUNDS", "100")
    if not re.fullmatch(r"[1-9]\d{0,4}", rounds):
        raise SystemExit(f"ROUNDS is {rounds!r}: set it to a whole number such as 100.")
    folder = Path(os.environ.get("BENCH_DATA") or ROOT / "build" / "bench").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return databases, [Size(label) for label in labels], int(rounds), folder


def run(store: Store, size: Size, floor: Client, rounds: int) -> Result:
    """Prepare one database, and ask it for everything so many times."""
    print(f"\n{store.title}, {size.users:,} users …", flush=True)
    prepared = prepare(store, size)
    with serve("wsgi:app", prepared.environment) as dossier:
        dossier.sign_in(EMAIL, PASSWORD)
        dossier.use_token(make_token(prepared))
        floor.renew()  # making a large database took a while
        rows = make_rows(dossier, size.users)
        floor_row = measure(rows, floor, rounds)
        memory = dossier.peak_memory()
    return Result(
        title=store.title,
        version=store.version,
        size=size,
        rounds=rounds,
        floor=floor_row,
        rows=rows,
        memory=memory,
        sizes=store.sizes(prepared.name),
        seconds=prepared.seconds,
    )


sys.exit(main())
