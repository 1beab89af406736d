#!/bin/sh
# Makes the compressed files of this directory with the tools whose output they
# stand for. Every file holds the numbers from 1 to 5000, one per line, unless
# its name begins with "empty".
set -eu
cd "$(dirname "$0")"
numbers() { seq 1 5000; }
first() { seq 1 2000; }
second() { seq 2001 5000; }

numbers | gzip -9n >plain.gz
{ first | gzip -n; second | gzip -1n; } >members.gz
: | gzip -n >empty.gz

numbers | bzip2 >plain.bz2
{ first | bzip2; second | bzip2 -1; } >streams.bz2
: | bzip2 >empty.bz2

numbers | xz >plain.xz
numbers | xz -9 >dictionary64.xz
numbers | xz --lzma2=dict=96MiB >dictionary96.xz
for check in none crc32 sha256; do numbers | xz --check=$check >$check.xz; done
numbers | xz -T2 --block-size=4096 >blocks.xz
numbers | xz --delta --lzma2 >filter.xz
# Parts of which only the second block asks for too much.
{ first | xz; head -c 8 /dev/zero; second | xz --check=crc32; head -c 4 /dev/zero; } >streams.xz
{ first | xz; second | xz --lzma2=dict=96MiB; } >second96.xz
: | xz >empty.xz

numbers | zstd >plain.zst
numbers | zstd -19 --long=27 >window128.zst
numbers | zstd -19 --ultra --long=28 >window256.zst
numbers | zstd --no-check >unchecked.zst
seq 1 5000 >numbers.tmp && zstd -q numbers.tmp -o sized.zst --force && rm numbers.tmp
# A skippable frame in front, between and behind, as chunked layers have them.
skip() { printf '\120\052\115\030\005\000\000\000extra'; }
{ skip; first | zstd; skip; second | zstd; skip; } >frames.zst
: | zstd >empty.zst
