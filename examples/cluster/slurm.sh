#!/bin/bash
# Distill on several nodes of a SLURM cluster; the job requeues itself after the time limit or preemption.
#
#   sbatch --nodes=2 --gpus-per-node=8 examples/cluster/slurm.sh runs/student \
#       data=imagenet-1k teacher=torchvision/resnet50 student=torchvision/mobilenet_v3_small method=kd epochs=100
#
# The first argument is the run folder, on a shared file system; the others are passed to tutelage distill.
#SBATCH --job-name=tutelage
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the time limit, all processes get SIGTERM, write a checkpoint and exit.
#SBATCH --signal=TERM@120

set -u
run=$1
shift
if [ -f "$run/config.yaml" ]; then
    words=(resume "$run")
else
    words=(distill "$@" "out=$run")
fi
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun \
    --nnodes="$SLURM_NNODES" \
    --nproc_per_node="${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv_id="$SLURM_JOB_ID" \
    --rdzv_backend=c10d \
    --rdzv_endpoint="$head:${PORT:-29500}" \
    -m tutelage "${words[@]}"
status=$?

# Requeue a run that was stopped in time (checkpoint, but no result), but not one that failed.
if [ $status -ne 0 ] && [ -f "$run/checkpoints/stopped" ] && [ ! -f "$run/result.json" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
