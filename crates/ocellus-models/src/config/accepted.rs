//! Fields that programs write into configs and that do not reach the computation, with the reason of each group.

/// A reason, the fields that it holds for, and beginnings of such fields.
struct Group {
    #[expect(dead_code, reason = "the reason is for who reads this table")]
    reason: &'static str,
    fields: &'static [&'static str],
    beginnings: &'static [&'static str],
}

const GROUPS: &[Group] = &[
    Group {
        reason: "the library's base class has them: what it keeps about the file, and which kernels and types it ran with",
        fields: &[
            "_commit_hash",
            "_name_or_path",
            "architectures",
            "auto_map",
            "base_config_key",
            "chunk_size_feed_forward",
            "dtype",
            "gradient_checkpointing",
            "is_composition",
            "keys_to_ignore_at_inference",
            "model_type",
            "name_or_path",
            "output_attentions",
            "output_hidden_states",
            "return_dict",
            "sub_configs",
            "tf_legacy_loss",
            "torch_dtype",
            "torchscript",
            "transformers_version",
            "use_bfloat16",
            "use_cache",
            "use_return_dict",
        ],
        beginnings: &[
            "_attn_implementation",
            "_experts_implementation",
            "attn_implementation",
        ],
    },
    Group {
        reason: "the base class has them: defaults of generation, which stand in a file of their own",
        fields: &[
            "bad_words_ids",
            "begin_suppress_tokens",
            "bos_token_id",
            "decoder_start_token_id",
            "diversity_penalty",
            "do_sample",
            "early_stopping",
            "encoder_no_repeat_ngram_size",
            "eos_token_id",
            "exponential_decay_length_penalty",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "length_penalty",
            "max_length",
            "max_new_tokens",
            "min_length",
            "no_repeat_ngram_size",
            "num_beam_groups",
            "num_beams",
            "num_return_sequences",
            "output_scores",
            "pad_token_id",
            "prefix",
            "remove_invalid_values",
            "repetition_penalty",
            "return_dict_in_generate",
            "sep_token_id",
            "suppress_tokens",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
        ],
        beginnings: &[],
    },
    Group {
        reason: "the base class has them: options of other kinds of models, and of heads that ours have not",
        fields: &[
            "cross_attention_hidden_size",
            "finetuning_task",
            "id2label",
            "is_encoder_decoder",
            "label2id",
            "problem_type",
            "task_specific_params",
            "tie_encoder_decoder",
            "tokenizer_class",
        ],
        beginnings: &[],
    },
    Group {
        reason: "they have an effect in training alone: dropout, initial values, losses",
        fields: &[
            "activation_dropout",
            "attention_dropout",
            "attention_probs_dropout_prob",
            "attn_dropout_prob",
            "classifier_dropout",
            "drop_path_rate",
            "dropout",
            "dropout_rate",
            "emb_dropout_prob",
            "embd_pdrop",
            "hidden_dropout_prob",
            "ignore_index",
            "init_std",
            "initializer_factor",
            "initializer_range",
            "label_smoothing",
            "layerdrop",
            "resid_pdrop",
        ],
        beginnings: &[],
    },
    Group {
        reason: "they say how weights are stored, which is read before (`quantisation`)",
        fields: &["compression_config", "quantization", "quantization_config"],
        beginnings: &[],
    },
    Group {
        reason: "trainers keep their own settings here",
        fields: &[
            "dataset_name",
            "image_max_pixels",
            "image_min_pixels",
            "mm_projector_lr",
            "model_max_length",
            "tokenizer_model_max_length",
            "tokenizer_padding_side",
            "use_gradient_checkpointing",
            "use_liger_kernel",
            "use_mm_proj",
            "video_fps",
            "video_max_frames",
            "video_max_pixels",
            "video_min_frames",
            "video_min_pixels",
            "vision_lr",
        ],
        beginnings: &["freeze_", "tune_", "unsloth_", "swift_", "llamafactory_"],
    },
    Group {
        reason: "exporters and tools keep notes for themselves here",
        fields: &[
            "_valid_processor_keys",
            "onnx_export_config",
            "processor_class",
            "transformers.js_config",
        ],
        beginnings: &["pipeline_tag"],
    },
];

/// Whether a field is one that does not reach the computation.
pub fn accepted(field: &str) -> bool {
    let within = |group: &Group| {
        group.fields.contains(&field) || group.beginnings.iter().any(|start| field.starts_with(start))
    };
    GROUPS.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that the base class of any version has is either in the table or read by those that it concerns.
    #[test]
    fn the_base_class_is_covered() {
        let table: serde_json::Value = serde_json::from_str(include_str!("classes.json")).unwrap();
        let base = table["base"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f.as_str().unwrap());
        let open: Vec<&str> = base.filter(|field| !accepted(field)).collect();
        // These change what is computed where they are not what they always are.
        assert_eq!(
            open,
            [
                "add_cross_attention",
                "is_decoder",
                "pruned_heads",
                "tie_word_embeddings"
            ]
        );
    }

    #[test]
    fn no_field_stands_twice() {
        let mut fields: Vec<&str> = GROUPS.iter().flat_map(|g| g.fields).copied().collect();
        fields.sort_unstable();
        let twice: Vec<_> = fields.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
