"""Grow a small model with PerforatedAI, by its public API, and record state, input and output: FILE."""

import sys

import torch
from perforatedai import globals_perforatedai, utils_perforatedai
from safetensors.torch import save_file
from torch import nn


def main(path):
    torch.manual_seed(0)
    settings = globals_perforatedai.pc
    settings.set_testing_dendrite_capacity(False)
    settings.set_switch_mode(settings.DOING_FIXED_SWITCH)
    settings.set_fixed_switch_num(3)
    settings.set_first_fixed_switch_num(3)
    settings.set_max_dendrites(2)
    settings.set_weight_decay_accepted(True)
    settings.set_unwrapped_modules_confirmed(True)
    settings.set_use_cuda(False)
    settings.set_device("cpu")
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model = utils_perforatedai.initialize_pai(model, save_name="recorded")
    x = torch.randn(64, 3)
    y = torch.stack((torch.sin(3 * x[:, 0]), x[:, 1] * x[:, 2]), 1)
    ended = restructured = False
    optimizer = None
    for epoch in range(40):
        if optimizer is None or restructured:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
            globals_perforatedai.pai_tracker.set_optimizer_instance(optimizer)
        for _ in range(5):
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            optimizer.step()
        score = epoch - loss.item()
        model, restructured, ended = globals_perforatedai.pai_tracker.add_validation_score(score, model)
        if ended:
            break
    assert ended
    recorded = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    # Its contents are of no use here; only that it is there.
    recorded["tracker_string"] = torch.zeros(4, dtype=torch.uint8)
    with torch.no_grad():
        recorded |= {"recorded.input": x[:8].clone(), "recorded.output": model(x[:8]).clone()}
    save_file(recorded, path)


if __name__ == "__main__":
    main(sys.argv[1])
