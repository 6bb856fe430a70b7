"""A small language model by Hugging Face's Trainer."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

torch.manual_seed(0)
tokens = torch.randint(0, 100, (192, 16), generator=torch.Generator().manual_seed(1))
train_set = [{"input_ids": row, "labels": row} for row in tokens]
shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
model = LlamaForCausalLM(LlamaConfig(vocab_size=100, **shape))

options = TrainingArguments(
    "out",
    per_device_train_batch_size=16,
    num_train_epochs=3,
    learning_rate=1e-2,
    gradient_accumulation_steps=2,
    logging_steps=2,
    report_to=[],
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
trainer = Trainer(model, options, train_dataset=train_set)
trainer.train()
trainer.save_model("final")
