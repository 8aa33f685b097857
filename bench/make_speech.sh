#!/bin/sh
# Makes python/earhook/demo/speech.wav: a short telephone call between a customer (left) and an
# agent (right), 8 kHz, mu-law. Not part of the build: the result lies in the package.
# Needs flite 2.2 and sox 14.4 (Debian: apt-get install flite sox).
#
#   bench/make_speech.sh [OUTPUT.wav]
set -eu

output=${1:-$(dirname "$0")/../python/earhook/demo/speech.wav}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

at=0.30 # where the next turn begins, in seconds
turn=0
: >"$work/customer" >"$work/agent"

# say SPEAKER PAUSE TEXT: PAUSE seconds after the last turn ended; negative: they overlap.
say() {
  turn=$((turn + 1))
  case $1 in customer) voice=slt ;; agent) voice=rms ;; esac
  flite -voice "$voice" --setf duration_stretch=0.94 -t "$3" "$work/raw.wav"
  # The band of a telephone, its rate, and a level with some room above it.
  sox -R -D "$work/raw.wav" -r 8000 "$work/$turn.wav" \
    silence 1 0.02 0.5% reverse silence 1 0.02 0.5% reverse sinc 200-3600 norm -6
  begin=$(echo "$at $2" | awk '{printf "%.3f", $1 + $2}')
  at=$(echo "$begin $(soxi -D "$work/$turn.wav")" | awk '{printf "%.3f", $1 + $2}')
  echo "$begin $work/$turn.wav" >>"$work/$1"
  printf '%7.3f - %7.3f  %-8s %s\n' "$begin" "$at" "$1" "$3"
}

# One side of the call: its turns laid out in time, padded to the full length.
side() {
  set -- "$1"
  inputs=''
  while read -r begin file; do
    sox -R -D "$file" "$file.at.wav" pad "$begin" "$(echo "$length $begin $(soxi -D "$file")" |
      awk '{printf "%.3f", $1 - $2 - $3}')"
    inputs="$inputs $file.at.wav"
  done <"$work/$1"
  # shellcheck disable=SC2086
  sox -R -D -m -v 1 $(echo $inputs | sed 's/ / -v 1 /g') "$work/$1.wav"
}

say agent 0 "Northwind power, how can I help?"
say customer 0.25 "Hello. I want to pay my last bill by card."
say agent 0.20 "Sure. I am pausing the recording. What is the number?"
say customer 0.35 "Four one one one. One one one one. One one one one. One one one one."
say agent 0.45 "Thank you. We are recording again, and your payment has gone through."
say customer 0.20 "Wonderful. Will you send me a receipt?"
say agent -0.30 "Yes, by email, within the hour."
say customer 0.15 "Great. Thanks a lot for your help. Bye."
say agent -0.25 "You are welcome. Have a good day."

length=$(echo "$at" | awk '{printf "%.1f", int($1 * 5 + 3) / 5}') # whole 200 ms frames
side customer
side agent
sox -R -D -M "$work/customer.wav" "$work/agent.wav" -e mu-law -b 8 "$output" trim 0 "$length"
soxi "$output"
