# SPDX-License-Identifier: Apache-2.0
"""Reads the counters file of a running gateway, from the layout that src/ops/counters.h documents and by nothing else."""
import mmap
import os
import struct

HEADER = struct.Struct("<QIIQIIQQIIQQQII32s")
META = struct.Struct("<II48s16s184s")
MAGIC = 0x31544E554F434352
HISTOGRAM = 3


def text(raw):
    return raw.split(b"\0", 1)[0].decode()


def read(path):
    """{name: sum over the shards}, and [{name: value}] by shard. Histograms are left out."""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        (magic, version, _, size, _, shards, _, _, count, meta_bytes, meta_at, shards_at, shard_bytes,
         _, _, _) = HEADER.unpack_from(m, 0)
        if magic != MAGIC:
            raise ValueError(f"{path} is no counters file")
        if version != 1 or size != os.fstat(f.fileno()).st_size:
            raise ValueError(f"{path}: version {version}, {size} bytes")
        by_shard = [{} for _ in range(shards)]
        for i in range(count):
            kind, word, name, _, _ = META.unpack_from(m, meta_at + i * meta_bytes)
            if kind == HISTOGRAM:
                continue
            for shard, values in enumerate(by_shard):
                values[text(name)] = struct.unpack_from("<Q", m, shards_at + shard * shard_bytes + 8 * word)[0]
    # A gauge that one shard raised and another lowered is a negative number in the one, so the sum wraps.
    return {n: sum(v[n] for v in by_shard) & (1 << 64) - 1 for n in by_shard[0]}, by_shard


def heartbeat(path):
    """When the writer last said that it lives, in ms since 1970."""
    with open(path, "rb") as f:
        return HEADER.unpack(f.read(HEADER.size))[7]
