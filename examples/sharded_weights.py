"""Shard student, teacher and optimizer over processes (FSDP2), for networks that do not fit on one device.

torchrun --nproc_per_node 2 examples/sharded_weights.py
"""

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

import digits
import tutelage

on_gpu = torch.cuda.is_available()
dist.init_process_group("nccl" if on_gpu else "gloo")
rank, world = dist.get_rank(), dist.get_world_size()
device = torch.device("cuda", rank % torch.cuda.device_count()) if on_gpu else torch.device("cpu")

torch.manual_seed(0)  # same weights and same order of samples in all processes
train, test = digits.loaders()
teacher = tutelage.create_model("resnet14", num_classes=10)
digits.train(teacher, train)
student = tutelage.create_model("resnet8", num_classes=10)

distiller = tutelage.Distiller(student, teacher, "kd+at", input_size=8).to(device)
distiller.shard(smallest=10_000)  # before creating the optimizer, so that its state is sharded too
optimizer = torch.optim.AdamW(distiller.parameters(), lr=5e-3)
for epoch in range(1, 4):
    distiller.train()
    for images, labels in train:
        own = slice(rank, None, world)  # part of each batch
        out = distiller(images[own].to(device), labels[own].to(device))
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    if rank == 0:
        print(f"epoch {epoch}: loss {out.loss.item():.4f}")

# All processes take part in gathering the weights into a plain network.
weights = get_model_state_dict(student, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
if rank == 0:
    whole = tutelage.create_model("resnet8", num_classes=10)
    whole.load_state_dict(weights)
    print(f"student {digits.accuracy(whole, test):.1f} %")
dist.destroy_process_group()
