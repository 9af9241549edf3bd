//! `quantization_config`: how a checkpoint's integer matrices were made.
//!
//! Which matrices are quantised follows from their tensors; this module reads their format, and refuses settings that are not
//! supported by name.

use ocellus_weights::{Packing, WordAxis};
use serde_json::{Value, json};

use crate::config::{ConfigError, Fields};

/// Fields about how a matrix was quantised, which modules were not (their tensors say so), and which program multiplies.
const HARMLESS: &[&str] = &[
    "act_group_aware",
    "autoround_version",
    "backend",
    "batch_size",
    "block_name_to_quantize",
    "cache_block_outputs",
    "damp_auto_increment",
    "damp_percent",
    "dataset",
    "desc_act",
    "do_fuse",
    "exllama_config",
    "fuse_max_seq_len",
    "hyb_act",
    "iters",
    "lm_head",
    "max_input_length",
    "meta",
    "model_file_base_name",
    "model_name_or_path",
    "model_seqlen",
    "module_name_preceding_first_block",
    "modules_in_block_to_quantize",
    "modules_to_fuse",
    "modules_to_not_convert",
    "mse",
    "pad_token_id",
    "static_groups",
    "sym",
    "tokenizer",
    "true_sequential",
    "use_cuda_fp16",
    "use_exllama",
];

/// The packing that the config on its top level names, where it names one.
///
/// `text` is the object of the language model, which some writers put it into.
pub fn read(config: &Fields, text: Option<&Fields>, family: &str) -> Result<Option<Packing>, ConfigError> {
    let inside = text.map(|text| text.object("quantization_config"));
    let own = config.object("quantization_config")?;
    let Some(fields) = own.or(inside.transpose()?.flatten()) else {
        return Ok(None);
    };
    let packing = match fields.text("quant_method")? {
        "gptq" => gptq(&fields)?,
        "awq" => awq(&fields)?,
        other => return Err(refused(&fields, "quant_method", "gptq or awq", &json!(other))),
    };
    fields.only("pack_dtype", &[json!("int32")])?;
    fields.refuse(&["rotation"])?;
    fields.finish(family, HARMLESS)?;
    Ok(Some(packing))
}

fn gptq(fields: &Fields) -> Result<Packing, ConfigError> {
    let bits = match fields.size("bits")? {
        bits @ (4 | 8) => bits as u8,
        other => return Err(refused(fields, "bits", "4 or 8", &json!(other))),
    };
    fields.only("is_marlin_format", &[json!(false)])?;
    let written = format(fields, "gptq")?;
    let zeros_less_one = match written {
        "gptq" => true,
        "gptq_v2" => false,
        other => {
            return Err(refused(
                fields,
                "checkpoint_format",
                "gptq or gptq_v2",
                &json!(other),
            ));
        }
    };
    // Rules for single modules may exclude modules, nothing else.
    if let Some(rules) = fields.get("dynamic") {
        let left_out = rules
            .as_object()
            .is_some_and(|rules| rules.keys().all(|rule| rule.starts_with("-:")));
        if !left_out {
            let expected = "rules that leave modules out (`-:`)";
            return Err(refused(fields, "dynamic", expected, rules));
        }
    }
    Ok(Packing {
        words: WordAxis::Inputs,
        bits,
        group: group(fields)?,
        zeros_less_one,
    })
}

fn awq(fields: &Fields) -> Result<Packing, ConfigError> {
    fields.only("bits", &[json!(4)])?;
    fields.only("zero_point", &[json!(true)])?;
    fields.only("version", &[json!("gemm"), json!("GEMM")])?;
    fields.only("backend", &[json!("autoawq")])?;
    match format(fields, "gemm")? {
        "gemm" => {}
        other => return Err(refused(fields, "checkpoint_format", "gemm", &json!(other))),
    }
    Ok(Packing {
        words: WordAxis::Outputs,
        bits: 4,
        group: group(fields)?,
        zeros_less_one: false,
    })
}

/// The tensor layout, under either of its field names.
fn format<'a>(fields: &Fields<'a>, default: &'a str) -> Result<&'a str, ConfigError> {
    let newer = fields.text_or("format", default)?;
    fields.text_or("checkpoint_format", newer)
}

/// Inputs per group of a scale; -1 means all inputs.
fn group(fields: &Fields) -> Result<Option<usize>, ConfigError> {
    match fields.get("group_size").map(Value::as_i64) {
        None => Ok(Some(128)),
        Some(Some(-1)) => Ok(None),
        Some(_) => fields.size("group_size").map(Some),
    }
}

fn refused(fields: &Fields, key: &str, expected: &str, found: &Value) -> ConfigError {
    ConfigError::Value {
        field: fields.name(key),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}
