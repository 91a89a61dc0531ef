#!/bin/bash
# One run on several machines without a scheduler: start it on each of them, with the same words.
#
#   NODES=2 HEAD=10.0.0.1 PROCESSES=8 examples/cluster/hosts.sh distill data=/data/flowers teacher=runs/teacher \
#       student=resnet8 method=kd out=/shared/runs/student
#
# HEAD is the address of any one of them. Data may lie anywhere, the run's folder on a file system that all share.
set -eu
exec torchrun \
    --nnodes="$NODES" \
    --nproc_per_node="${PROCESSES:-1}" \
    --rdzv_id="${RUN_ID:-tutelage}" \
    --rdzv_backend=c10d \
    --rdzv_endpoint="$HEAD:${PORT:-29500}" \
    -m tutelage "$@"
