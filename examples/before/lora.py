"""Fine-tuning by LoRA (peft): the adapters alone are trained, and alone go over the network."""

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import DataLoader, TensorDataset
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
tokens = torch.randint(0, 100, (192, 16), generator=torch.Generator().manual_seed(1))
shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
base = LlamaForCausalLM(LlamaConfig(vocab_size=100, **shape))
model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_dropout=0.0))

optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
loader = DataLoader(TensorDataset(tokens), batch_size=16, shuffle=True)
for _ in range(3):
    for (batch,) in loader:
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
torch.save(model.state_dict(), "model.pt")
