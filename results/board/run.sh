#!/usr/bin/env bash
# The board's cells in the order of its page, from the repository's root: bash results/board/run.sh [LINE ...]
# DATA: a folder of parquet files, here a copy of CIFAR-10. CACHE: a folder for poisons. MINUTES: for each command,
# which starts nothing that will not fit; what is there already is not computed again. DRY=1: hours of each command,
# and nothing runs.
set -euo pipefail
data=${DATA:?a folder of parquet files}
cache=${CACHE:-results/runs/board-cache}
here=results/board

# run PART METHODS DEFENSES [OPTION ...]: rows into results/board/PART/rows, those too that were done where a cell failed
run() {
  local ended=0 rows="results/runs/board-$1/rows"
  mkdir -p "$rows"
  cp -n "$here/$1"/rows/*.json "$rows/" 2> /dev/null || true  # what was computed before is not computed again
  python -m bench run --profile reference --precision "${PRECISION:-bf16}" --data "parquet:$data" --methods "$2" --defenses "$3" \
    --minutes "${MINUTES:-100}" --workers 2 --no-report --cache "$cache" --out "results/runs/board-$1" "${@:4}" \
    ${DRY:+--dry-run} || ended=$?
  [ -n "${DRY:-}" ] || { mkdir -p "$here/$1/rows" && cp "$rows"/*.json "$here/$1/rows/"; }
  return "$ended"
}

# clean_of_main PART: the rows of clean that are the same there
clean_of_main() {
  [ -n "${DRY:-}" ] && return
  mkdir -p "results/runs/board-$1/rows"
  { grep -ls '^ "method": "clean",$' "$here"/main/rows/*.json || true; } | xargs -r cp -t "results/runs/board-$1/rows"
}

image="none,iss-gray,iss-jpeg10"
linf="aap,aue,em,em-class,em-gray,em-mine,emax,entf-push,entf-pull,hypo,pil,rem,sem,tap,tue-csd,random,random-signed,region-4"
others="ar,lsp,ops,cuda,random-l2-unit,random-l2,random-l0,random-unbounded"
defended="at-4,cutout,uer,cutmix,median3,op,op-none,leak-500"

line() {
  case $1 in
    clean) run main clean "$image,at-2,at-4" --reps 2 ;;
    mi-ue) run main mi-ue "$image,at-2,at-4" --poison-reps 2 ;;
    mi-ue-robust) run main mi-ue-at2,mi-ue-at4 "$image,at-2,at-4" --poison-reps 2 ;;
    mi-ue-cos) run main mi-ue-cos "$image,at-2,at-4" --poison-reps 2 ;;
    mi-ue-cos-60) clean_of_main rounds60
      run rounds60 clean,mi-ue-cos "$image,at-2,at-4" --poison-reps 2 --set mi-ue-cos.surrogate.epochs=60 ;;
    # the paper's net has four times the features; the distance, which grows with their root, is divided by their number
    mi-ue-distance) clean_of_main distance
      run distance clean,mi-ue none,at-2 --poison-reps 2 --set mi-ue.distance=0.05 ;;
    mi-ue-fp32) PRECISION=fp32 run fp32 clean,mi-ue none,at-2 --poison-reps 3 ;;
    # the official victim under adversarial training: 100 epochs, drops at 40 and 80, ten steps
    official-at) run official clean,mi-ue at-2 --set at-2.steps=10 --set victim.epochs=100 \
      --set victim.schedule=steps --set victim.milestones=0.4,0.8 ;;
    linf) run main "clean,$linf" "$image" --poison-reps 2 ;;
    linf-defended) run main "clean,$linf,mi-ue" "$defended"; run main clean,hypo,entf-push,entf-pull at-2,at-8 ;;
    others) run main "clean,$others" "$image" --poison-reps 2; run main ops "$image" --reps 2 # which draws nothing
      run main "clean,$others" "$defended"; run main clean,cuda coin,rsk-dct30 ;;
    transfer) for net in vgg-slim densenet-slim mobilenet-slim vit-slim; do
      run "transfer-$net" clean,em,tap,mi-ue,lsp,ops none --net "$net"
    done ;;
    learned) run main clean,em,tap,mi-ue,lsp,ops,aue,aap simclr; run main clean,em,tap,mi-ue,lsp,ops finetune ;;
    imbalance) run imbalance clean,em,tap,mi-ue,lsp,ops none,iss-jpeg10 --imbalance 10 ;;
    *) echo "no line $1" >&2 && exit 2 ;;
  esac
}

[ $# -gt 0 ] || set -- clean mi-ue mi-ue-robust mi-ue-cos mi-ue-distance linf linf-defended others mi-ue-cos-60 mi-ue-fp32 \
  official-at transfer learned imbalance
for name in "$@"; do line "$name"; done
