#!/bin/bash
# Run on several machines without a scheduler: start this on each machine with the same arguments and its own NODE.
#
#   NODES=2 NODE=0 HEAD=10.0.0.1 PROCESSES=8 examples/cluster/hosts.sh distill data=/data/flowers teacher=runs/teacher \
#       student=resnet8 method=kd out=/shared/runs/student
#
# HEAD is the address of the machine with NODE=0. The run folder must be on a shared file system; data can be anywhere.
set -eu
exec torchrun \
    --nnodes="$NODES" \
    --node_rank="$NODE" \
    --nproc_per_node="${PROCESSES:-1}" \
    --master_addr="$HEAD" \
    --master_port="${PORT:-29500}" \
    -m tutelage "$@"
