#!/bin/bash
# Many sweeps in one allocation, without waiting in the queue for each: a dask scheduler here, a worker on each node.
#
#   salloc --nodes=2 --ntasks-per-node=1 --cpus-per-task=4 --time=2:00:00      # on GPUs: --gres=gpu:1
#   ./interactive_dask.sh my_config.toml /scratch/$USER/my_sweep.zarr
#   ./interactive_dask.sh my_config.toml /scratch/$USER/other.zarr --set model.stroma='"loose"'
#
# Needs tmepde[cluster]. It is a script for sbatch as well: sbatch --nodes=2 … interactive_dask.sh CONFIG OUT.

CONFIG=${1:?CONFIG must be given: ./interactive_dask.sh CONFIG OUT}
OUT=${2:?OUT must be given: ./interactive_dask.sh CONFIG OUT}
shift 2
: "${SLURM_JOB_ID:?must be run inside an allocation: salloc --nodes=2 --ntasks-per-node=1 --time=2:00:00}"
BIN=${BIN:-$(dirname "$(command -v tmepde)")} # where tmepde and dask are, reachable from the nodes
export TMEPDE_CACHE=${TMEPDE_CACHE:-$OUT.programs}
# module load cuda

FILE=$(dirname "$OUT")/.dask-$SLURM_JOB_ID-$$.json # on a file system that all nodes see
"$BIN/dask" scheduler --scheduler-file "$FILE" --port 0 --no-dashboard --dashboard-address 127.0.0.1:0 &
scheduler=$!
srun "$BIN/dask" worker --scheduler-file "$FILE" --nthreads 1 --memory-limit 0 --no-dashboard --death-timeout 60 &
workers=$!
trap 'kill $scheduler $workers 2>/dev/null; wait; rm -f "$FILE"' EXIT
for _ in $(seq 120); do [ -s "$FILE" ] && break; sleep 0.5; done

resume=; [ -e "$OUT" ] && resume=--resume
"$BIN/tmepde" sweep "$CONFIG" -o "$OUT" $resume --executor dask --scheduler "$FILE" "$@"
