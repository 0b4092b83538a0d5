# module: fully_sharded.py
# exercise: 6.13
# name: the gradients are summed up, not averaged
"""Fully sharded, without a function of autograd: what is gathered is a leaf, with a hook on its gradient."""

import torch
import torch.distributed as dist
from torch import nn

from .collectives import all_gather, chunk_sizes, reduce_scatter


def tensors_in(value):
    """All tensors in tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        found = []
        for each in value:
            found += tensors_in(each)
        return found
    return []


class Part:
    """The parameters of one unit."""

    def __init__(self, named, group, stays):
        self.group = group
        self.stays = stays
        self.world = dist.get_world_size(group)
        self.slots = []  # (owner, attribute, number of the parameter)
        self.names = []  # (name, number of the parameter)
        self.shapes = []
        params = []
        for name, owner, attribute, p in named:
            number = next((i for i, other in enumerate(params) if other is p), None)
            if number is None:
                number = len(params)
                params.append(p)
                self.shapes.append(p.shape)
            self.slots.append((owner, attribute, number))
            self.names.append((name, number))
        kinds = {(p.dtype, p.device, p.requires_grad) for p in params}
        if len(kinds) > 1:
            raise ValueError(f"the parameters of a unit are of several kinds: {kinds}")
        self.params = params
        self.length = sum(p.numel() for p in params)
        self.busy = None  # the leaf that backward is at
        self.shown = None

    def cut(self):
        """Keep this rank's part of the first rank's numbers, and take the parameters away."""
        row = torch.zeros(self.length, dtype=self.params[0].dtype)
        place = 0
        for p in self.params:
            row[place : place + p.numel()] = p.detach().reshape(-1)
            place += p.numel()
        dist.broadcast(row, group=self.group, group_src=0)
        sizes = chunk_sizes(self.length, self.world)
        rank = dist.get_rank(self.group)
        self.begin = sum(sizes[:rank])
        self.end = self.begin + sizes[rank]
        self.chunk = nn.Parameter(row[self.begin : self.end].clone(), requires_grad=self.params[0].requires_grad)
        for owner, attribute, _ in self.slots:
            if attribute in owner._parameters:
                delattr(owner, attribute)
        del self.params

    def pieces(self, row):
        found, place = [], 0
        for shape in self.shapes:
            found.append(row[place : place + shape.numel()].view(shape))
            place += shape.numel()
        return found

    def show(self, leaf):
        self.shown = leaf
        with torch.enable_grad():
            pieces = self.pieces(leaf)
        for owner, attribute, number in self.slots:
            owner.__dict__[attribute] = pieces[number]

    def hide(self):
        self.shown = None
        for owner, attribute, _ in self.slots:
            owner.__dict__.pop(attribute, None)

    def drop(self, leaf):
        leaf.untyped_storage().resize_(0)
        if self.shown is leaf:
            self.hide()
        if self.busy is leaf:
            self.busy = None

    def forward_begins(self, module, args):
        if self.busy is not None:
            return
        leaf = all_gather(self.chunk, self.length, self.group)
        if torch.is_grad_enabled() and self.chunk.requires_grad:
            leaf.requires_grad_()
            leaf.register_post_accumulate_grad_hook(self.gradient_is_there)
        self.show(leaf)

    def forward_ends(self, module, args, out):
        if self.busy is not None or self.shown is None:
            return
        leaf = self.shown
        waiting = [each for each in tensors_in(out) if each.requires_grad]
        for each in waiting:
            each.register_hook(lambda gradient: self.backward_begins(leaf))
        if not waiting:
            self.hide()
        elif not self.stays:
            self.drop(leaf)

    def backward_begins(self, leaf):
        if self.busy is leaf:
            return
        storage = leaf.untyped_storage()
        if storage.size() == 0:
            whole = all_gather(self.chunk, self.length, self.group)
            storage.resize_(whole.untyped_storage().size())
            leaf.data.copy_(whole)
        self.show(leaf)
        self.busy = leaf
        torch.autograd.Variable._execution_engine.queue_callback(lambda: self.backward_ends(leaf))

    def backward_ends(self, leaf):
        if self.busy is leaf:
            self.drop(leaf)

    def gradient_is_there(self, leaf):
        gradient, leaf.grad = leaf.grad, None
        self.drop(leaf)
        wide = gradient.float() if gradient.dtype in (torch.float16, torch.bfloat16) else gradient
        mine = reduce_scatter(wide, self.group).to(self.chunk.dtype)
        if self.chunk.grad is None:
            self.chunk.grad = mine
        else:
            self.chunk.grad += mine


class FullyShardedModule(nn.Module):
    def __init__(self, module, units, group=None):
        super().__init__()
        units = list(units)
        for number, unit in enumerate(units):
            if unit is module or not any(unit is each for each in module.modules()):
                raise ValueError(f"{type(unit).__name__} is no module within the model")
            for other_number, other in enumerate(units):
                if number != other_number and any(other is each for each in unit.modules()):
                    raise ValueError("units must not overlap")
        everything = []  # (name, owner, attribute, parameter, unit)

        def collect(owner, prefix, unit):
            for number, each in enumerate(units):
                if each is owner:
                    unit = number
            for attribute, p in owner._parameters.items():
                if p is not None:
                    everything.append((prefix + attribute, owner, attribute, p, unit))
            for name, child in owner._modules.items():
                if child is not None:
                    collect(child, f"{prefix}{name}.", unit)

        collect(module, "", len(units))
        self.module = module
        self.group = group
        self.order = [(name, each.shape) for name, each in module.state_dict().items()]
        self.parts = []
        for number in range(len(units) + 1):
            named = []
            for name, owner, attribute, p, unit in everything:
                seen = {other[4] for other in everything if other[3] is p}
                home = unit if len(seen) == 1 else len(units)
                if home == number:
                    named.append((name, owner, attribute, p))
            if named:
                part = Part(named, group, number == len(units))
                self.parts.append((part, module if number == len(units) else units[number]))
        for part, root in self.parts:
            part.cut()
            root.register_forward_pre_hook(part.forward_begins)
            root.register_forward_hook(part.forward_ends, always_call=True)
        for buffer in module.buffers():
            first = buffer.clone(memory_format=torch.contiguous_format)
            dist.broadcast(first, group=group, group_src=0)
            buffer.copy_(first)
        self.chunks = nn.ParameterList([part.chunk for part, _ in self.parts])

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def full_state_dict(self):
        found = {}
        for name, its in self.module.state_dict().items():
            found[name] = its.clone().cpu()
        for part, _ in self.parts:
            pieces = part.pieces(all_gather(part.chunk, part.length, self.group))
            for name, number in part.names:
                found[name] = pieces[number].cpu()
        return {name: found[name] for name, _ in self.order}

    def load_full_state_dict(self, state):
        own = dict(self.order)
        for name in own:
            if name not in state:
                raise ValueError(f"{name} is missing")
        for name, its in state.items():
            if name not in own:
                raise ValueError(f"{name} is not in the model")
            if its.shape != own[name]:
                raise ValueError(f"{name} is {tuple(its.shape)}, and has to be {tuple(own[name])}")
        with torch.no_grad():
            for part, _ in self.parts:
                row = []
                for number in range(len(part.shapes)):
                    name = next(name for name, other in part.names if other == number)
                    row.append(state[name].reshape(-1))
                part.chunk.copy_(torch.cat(row)[part.begin : part.end])
            for name, its in self.module.state_dict().items():
                its.copy_(state[name])
