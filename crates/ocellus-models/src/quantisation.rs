//! `quantization_config`: how the quantised matrices of a checkpoint were made.
//!
//! Which matrices are quantised, and mostly how, follows from their tensors. This module reads what these leave open, and refuses by
//! name methods and settings that are not computed.

use ocellus_weights::{Scheme, Words};
use serde_json::{Value, json};

use crate::config::{ConfigError, ConfigFile, Fields};

/// Where configs have it; the first is read. The language model's object has it in files of some writers.
const PLACES: &[&str] = &["quantization_config", "compression_config", "quantization"];

/// Reads the fields of one method.
type Read = fn(&Fields) -> Result<Scheme, ConfigError>;

/// Methods by their names, with fields that do not change what a weight is: how it was found, which modules were left out (their
/// tensors say so), which program multiplies, how activations would be rounded.
const METHODS: &[(&str, Read, &[&str])] = &[
    ("gptq", gptq, OF_SEARCH),
    ("awq", awq, OF_SEARCH),
    ("auto-round", auto_round, OF_SEARCH),
    ("intel/auto-round", auto_round, OF_SEARCH),
    (
        "bitsandbytes",
        bitsandbytes,
        &[
            "_load_in_4bit",
            "_load_in_8bit",
            "bnb_4bit_compute_dtype",
            "bnb_4bit_quant_storage",
            "bnb_4bit_use_double_quant",
            "llm_int8_enable_fp32_cpu_offload",
            "llm_int8_has_fp16_weight",
            "llm_int8_skip_modules",
            "llm_int8_threshold",
            "load_in_4bit",
            "load_in_8bit",
        ],
    ),
    ("fp8", fp8, OF_FP8),
    ("fbgemm_fp8", fp8, OF_FP8),
    (
        "compressed-tensors",
        compressed,
        &[
            "config_groups",
            "global_compression_ratio",
            "ignore",
            "kv_cache_scheme",
            "quantization_status",
            "run_compressed",
            "version",
        ],
    ),
    (
        "modelopt",
        model_optimizer,
        &[
            "config_groups",
            "exclude_modules",
            "ignore",
            "kv_cache_quant_algo",
            "kv_cache_scheme",
            "producer",
            "quant_library",
        ],
    ),
];

const OF_SEARCH: &[&str] = &[
    "act_group_aware",
    "amp",
    "autoround_version",
    "backend",
    "batch_size",
    "block_name_to_quantize",
    "cache_block_outputs",
    "damp_auto_increment",
    "damp_percent",
    "data_type",
    "dataset",
    "desc_act",
    "do_fuse",
    "enable_minmax_tuning",
    "enable_norm_bias_tuning",
    "enable_quanted_input",
    "exllama_config",
    "failsafe",
    "fuse_max_seq_len",
    "gptaq",
    "gradient_accumulate_steps",
    "hyb_act",
    "iters",
    "lm_head",
    "low_gpu_mem_usage",
    "lr",
    "max_input_length",
    "meta",
    "minmax_lr",
    "model_file_base_name",
    "model_name_or_path",
    "model_seqlen",
    "module_name_preceding_first_block",
    "modules_in_block_to_quantize",
    "modules_to_fuse",
    "modules_to_not_convert",
    "mse",
    "nsamples",
    "offload_to_disk",
    "pad_token_id",
    "quant_block_list",
    "scale_dtype",
    "seqlen",
    "static_groups",
    "sym",
    "to_quant_block_names",
    "tokenizer",
    "true_sequential",
    "use_cuda_fp16",
    "use_exllama",
    "vram_strategy",
];
const OF_FP8: &[&str] = &[
    "activation_scale_ub",
    "activation_scheme",
    "dequantize",
    "fmt",
    "ignored_layers",
    "modules_to_not_convert",
    "scale_fmt",
    "kv_cache_scheme",
    "kv_cache_quant_method",
];

/// What the config says of quantised matrices; of one that says nothing, what tensors alone say.
///
/// # Errors
/// A method or a setting that is not computed.
pub fn scheme(config: &ConfigFile, family: &str) -> Result<Scheme, ConfigError> {
    let top = config.fields()?;
    let own = places(&top)?;
    let inside = match top.own("text_config").is_some_and(Value::is_object) {
        true => top.object("text_config")?,
        false => None,
    };
    let inside = inside.map(|text| places(&text)).transpose()?.flatten();
    match own.or(inside) {
        Some(fields) => read(fields, family),
        None => Ok(Scheme::default()),
    }
}

/// The object of an object of a config, in the first place that has it.
fn places<'a>(fields: &Fields<'a>) -> Result<Option<Fields<'a>>, ConfigError> {
    // What is no object is another program's note.
    let found = |place: &&&str| fields.own(place).is_some_and(Value::is_object);
    match PLACES.iter().find(found) {
        Some(place) => fields.object(place),
        None => Ok(None),
    }
}

fn read(fields: Fields, family: &str) -> Result<Scheme, ConfigError> {
    // One writer names no method.
    if fields.own("quant_method").is_none()
        && fields.own("group_size").is_some()
        && fields.own("bits").is_some()
    {
        return affine(fields, family);
    }
    let compressed = fields.own("quant_method").is_none() && fields.own("config_groups").is_some();
    let name = match compressed {
        true => "compressed-tensors",
        false => fields.text("quant_method")?,
    };
    let Some((_, method, harmless)) = METHODS.iter().find(|method| method.0 == name) else {
        let known: Vec<&str> = METHODS.iter().map(|method| method.0).collect();
        return Err(refused(&fields, "quant_method", &known.join(", "), &json!(name)));
    };
    let scheme = method(&fields)?;
    fields.finish(family, harmless)?;
    Ok(scheme)
}

fn gptq(fields: &Fields) -> Result<Scheme, ConfigError> {
    match fields.size("bits")? {
        2 | 3 | 4 | 8 => {}
        other => return Err(refused(fields, "bits", "2, 3, 4 or 8", &json!(other))),
    }
    fields.only("is_marlin_format", &[json!(false)])?;
    fields.only("pack_dtype", &[json!("int32")])?;
    fields.refuse(&["rotation"])?;
    // Rules for single modules: their tensors show bits and groups.
    fields.get("dynamic");
    let zeros_less_one = match format(fields, "gptq")? {
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
    Ok(Scheme {
        words: Words::Gptq { zeros_less_one },
        group: group(fields)?,
        ..Scheme::default()
    })
}

fn awq(fields: &Fields) -> Result<Scheme, ConfigError> {
    fields.only("bits", &[json!(4)])?;
    fields.only("zero_point", &[json!(true)])?;
    fields.only("backend", &[json!("autoawq")])?;
    // Newer writers have a field of another name.
    let version = format(fields, fields.text_or("version", "gemm")?)?;
    let words = match version.to_ascii_lowercase().as_str() {
        "gemm" => Words::AwqGemm,
        "gemv" => Words::AwqGemv,
        "gemv_fast" => Words::AwqGemvFast,
        other => {
            let said = ["checkpoint_format", "format"]
                .into_iter()
                .find(|key| fields.own(key).is_some());
            let key = said.unwrap_or("version");
            return Err(refused(fields, key, "gemm, gemv or gemv_fast", &json!(other)));
        }
    };
    Ok(Scheme {
        words,
        group: group(fields)?,
        ..Scheme::default()
    })
}

/// Words of one of the two methods above.
fn auto_round(fields: &Fields) -> Result<Scheme, ConfigError> {
    let packing = fields.text_or("packing_format", "auto_round:auto_gptq")?;
    fields.get("extra_config");
    fields.get("bits");
    let words = match packing.rsplit(':').next().unwrap_or_default() {
        "auto_gptq" | "gptq" => Words::Gptq { zeros_less_one: true },
        "auto_awq" | "awq" => Words::AwqGemm,
        _ => {
            let expected = "auto_round:auto_gptq or auto_round:auto_awq";
            return Err(refused(fields, "packing_format", expected, &json!(packing)));
        }
    };
    Ok(Scheme {
        words,
        group: group(fields)?,
        ..Scheme::default()
    })
}

fn bitsandbytes(fields: &Fields) -> Result<Scheme, ConfigError> {
    fields.only("bnb_4bit_quant_type", &[json!("nf4"), json!("fp4")])?;
    Ok(Scheme::default())
}

fn fp8(fields: &Fields) -> Result<Scheme, ConfigError> {
    let block = match fields.own("weight_block_size") {
        None => None,
        Some(_) => match fields.sizes("weight_block_size")?[..] {
            [rows, cols] if rows > 0 && cols > 0 => Some([rows, cols]),
            ref other => return Err(refused(fields, "weight_block_size", "two sizes", &json!(other))),
        },
    };
    Ok(Scheme {
        block,
        ..Scheme::default()
    })
}

/// Formats of compressed-tensors.
const FORMATS: &[&str] = &[
    "dense",
    "pack-quantized",
    "int-quantized",
    "float-quantized",
    "naive-quantized",
    "mixed-precision",
    "nvfp4-pack-quantized",
    "mxfp4-pack-quantized",
];

fn compressed(fields: &Fields) -> Result<Scheme, ConfigError> {
    let formats: Vec<Value> = FORMATS.iter().map(|format| json!(format)).collect();
    fields.only("format", &formats)?;
    fields.refuse(&["transform_config"])?;
    if let Some(sparsity) = fields.object("sparsity_config")? {
        sparsity.only("format", &[json!("dense")])?;
    }
    let mut scheme = Scheme::default();
    let groups = fields.own("config_groups").and_then(Value::as_object);
    for group in groups.into_iter().flat_map(|groups| groups.values()) {
        let weights = &group["weights"];
        let number = |key: &str| weights[key].as_u64().and_then(|n| usize::try_from(n).ok());
        scheme.bits.extend(
            number("num_bits")
                .and_then(|bits| u8::try_from(bits).ok())
                .filter(|bits| (1..=8).contains(bits)),
        );
        scheme.group = scheme.group.or(number("group_size"));
        if let [Some(rows), Some(cols)] = [0, 1].map(|at| weights["block_structure"][at].as_u64()) {
            scheme.block = Some([rows as usize, cols as usize]);
        }
    }
    Ok(scheme)
}

fn model_optimizer(fields: &Fields) -> Result<Scheme, ConfigError> {
    fields.only("quant_algo", &[json!("FP8"), json!("NVFP4")])?;
    Ok(Scheme::default())
}

/// Sizes of all matrices, and of modules by their names; `false` is a module that was left out.
fn affine(fields: Fields, family: &str) -> Result<Scheme, ConfigError> {
    fields.only("mode", &[json!("affine")])?;
    let sizes = |fields: &Fields| Ok::<_, ConfigError>([fields.size("bits")?, fields.size("group_size")?]);
    let all = sizes(&fields)?;
    let mut scheme = Scheme {
        affine: Some(all),
        ..Scheme::default()
    };
    for name in fields.names() {
        let Some(Value::Object(_)) = fields.own(name) else {
            // Read, and without effect.
            continue;
        };
        if let Some(module) = fields.object(name)? {
            module.only("mode", &[json!("affine")])?;
            scheme.modules.push((name.to_owned(), sizes(&module)?));
        }
    }
    fields.finish(family, &[])?;
    Ok(scheme)
}

/// The tensor layout, under either of its field names.
fn format<'a>(fields: &Fields<'a>, default: &'a str) -> Result<&'a str, ConfigError> {
    let newer = fields.text_or("format", default)?;
    fields.text_or("checkpoint_format", newer)
}

/// Inputs per group of a scale; `None` where all inputs share one.
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
