#!/usr/bin/env bash
# The default matrix over three base seeds on two kinds of processor, from the repository's root: rows of each into
# results/quick. CACHE is a folder for poisons; each kind of processor crafts its own.
set -euo pipefail
cache=${CACHE:-results/runs/quick-cache}
for seed in 0 1 2; do
  for kind in "" -avx2; do
    out=results/runs/quick-seed$seed$kind
    ${kind:+env ATEN_CPU_CAPABILITY=avx2} python -m bench run --methods all --defenses all --seed "$seed" \
      --out "$out" --cache "$cache$kind"
    mkdir -p "results/quick/seed$seed$kind" && cp -r "$out/rows" "results/quick/seed$seed$kind/"
    # two more victims of em and of mi-ue, whose victims differ most
    ${kind:+env ATEN_CPU_CAPABILITY=avx2} python -m bench run --methods em,mi-ue --defenses none --seed "$seed" \
      --reps 3 --out "$out-more" --cache "$cache$kind"
    mkdir -p "results/quick/more/seed$seed$kind/rows"
    cp $(grep -LE '"rep": 0,$' "$out-more"/rows/*.json) "results/quick/more/seed$seed$kind/rows/"
  done
done
