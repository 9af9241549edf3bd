//! The residual network (He et al. 2015): a stem and four stages of bottleneck blocks, the last of which is the RoI head.

use candle_core::Tensor;
use ocellus_nn::conv::Spec;
use ocellus_nn::{Conv, LoadError, Params, Taps};

type LoadResult<T> = Result<T, LoadError>;

/// Epsilon that the published norms add to the variance.
const NORM_EPS: f64 = 1e-5;
/// Blocks of the four stages, by the depth of the network.
pub(super) const BLOCKS: &[(usize, [usize; 4])] =
    &[(50, [3, 4, 6, 3]), (101, [3, 4, 23, 3]), (152, [3, 8, 36, 3])];
/// Px of the picture per position of the third stage's feature map.
pub(super) const STRIDE: usize = 16;

/// Sizes of the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    /// Blocks of the four stages.
    pub blocks: [usize; 4],
    pub stem: usize,
    /// Inner channels of the first stage's blocks; every stage doubles them.
    pub middle: usize,
    /// Output channels of the first stage; every stage doubles them.
    pub outputs: usize,
    pub groups: usize,
    /// Whether the stride of a stage is in the first convolution of its first block; otherwise in the second.
    pub stride_first: bool,
    /// Whether the last stage halves the resolution; otherwise it keeps it, and its 3 x 3 convolutions have dilation 2.
    pub halved: bool,
    /// Whether the stem's pooling has no padding and rounds the output size up; otherwise it has a padding of 1 and rounds down.
    pub pool_ceiled: bool,
}

impl Net {
    /// Output channels of the third stage (named `res4`).
    pub(super) fn fourth(&self) -> usize {
        self.outputs * 4
    }

    /// Output channels of the last stage (named `res5`): the width of a feature vector.
    pub(super) fn fifth(&self) -> usize {
        self.outputs * 8
    }

    fn stage(&self, index: usize) -> StageSpec {
        let inputs = if index == 0 {
            self.stem
        } else {
            self.outputs << (index - 1)
        };
        let kept = index == 3 && !self.halved;
        StageSpec {
            blocks: self.blocks[index],
            inputs,
            middle: self.middle << index,
            outputs: self.outputs << index,
            groups: self.groups,
            stride: if index == 0 || kept { 1 } else { 2 },
            stride_first: self.stride_first,
            dilation: if kept { 2 } else { 1 },
        }
    }

    /// The stage that serves as the RoI head.
    pub(super) fn head(&self, p: &Params) -> LoadResult<ResidualStage> {
        ResidualStage::load(p, &self.stage(3))
    }
}

struct StageSpec {
    blocks: usize,
    inputs: usize,
    middle: usize,
    outputs: usize,
    groups: usize,
    stride: usize,
    stride_first: bool,
    dilation: usize,
}

/// A bottleneck block: three convolutions and a shortcut.
struct Bottleneck {
    shortcut: Option<Conv>,
    kernels: [Conv; 3],
}

impl Bottleneck {
    fn load(p: &Params, inputs: usize, stride: usize, spec: &StageSpec) -> LoadResult<Self> {
        let kernel = |name: &str, spec: Spec| Conv::normed(&p.at(name), spec, NORM_EPS);
        let (first, second) = if spec.stride_first {
            (stride, 1)
        } else {
            (1, stride)
        };
        let shortcut = Spec {
            stride,
            ..Spec::new(inputs, spec.outputs, 1)
        };
        let [narrow, middle, wide] = [
            Spec {
                stride: first,
                ..Spec::new(inputs, spec.middle, 1)
            },
            Spec {
                stride: second,
                padding: spec.dilation,
                dilation: spec.dilation,
                groups: spec.groups,
                ..Spec::new(spec.middle, spec.middle, 3)
            },
            Spec::new(spec.middle, spec.outputs, 1),
        ];
        Ok(Self {
            shortcut: (inputs != spec.outputs)
                .then(|| kernel("shortcut", shortcut))
                .transpose()?,
            kernels: [
                kernel("conv1", narrow)?,
                kernel("conv2", middle)?,
                kernel("conv3", wide)?,
            ],
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let [narrow, middle, wide] = &self.kernels;
        let y = wide.forward(&middle.forward(&narrow.forward(x)?.relu()?)?.relu()?)?;
        match &self.shortcut {
            Some(around) => y + around.forward(x)?,
            None => y + x,
        }?
        .relu()
    }
}

/// A stage of the residual network: its blocks in order.
pub(super) struct ResidualStage(Vec<Bottleneck>);

impl ResidualStage {
    fn load(p: &Params, spec: &StageSpec) -> LoadResult<Self> {
        let block = |i: usize| match i {
            0 => Bottleneck::load(&p.at(0), spec.inputs, spec.stride, spec),
            _ => Bottleneck::load(&p.at(i), spec.outputs, 1, spec),
        };
        Ok(Self((0..spec.blocks).map(block).collect::<LoadResult<_>>()?))
    }

    /// `[n, inputs, height, width]` → `[n, outputs, height', width']`.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.0.iter().try_fold(x.clone(), |x, block| block.forward(&x))
    }
}

/// The stem and the first three stages.
pub(super) struct Backbone {
    stem: Conv,
    pool_ceiled: bool,
    stages: [ResidualStage; 3],
}

impl Backbone {
    pub(super) fn load(p: &Params, net: &Net) -> LoadResult<Self> {
        let stem = Spec {
            stride: 2,
            padding: 3,
            ..Spec::new(3, net.stem, 7)
        };
        let stage = |i: usize| ResidualStage::load(&p.at(format!("res{}", i + 2)), &net.stage(i));
        Ok(Self {
            stem: Conv::normed(&p.at("stem.conv1"), stem, NORM_EPS)?,
            pool_ceiled: net.pool_ceiled,
            stages: [stage(0)?, stage(1)?, stage(2)?],
        })
    }

    /// `planes [1, 3, height, width]` → `[1, channels, height / 16, width / 16]`. Taps `stem`, `res2`, `res3`, `res4`.
    pub(super) fn forward(&self, planes: &Tensor, taps: &mut Taps) -> candle_core::Result<Tensor> {
        let mut x = pooled(&self.stem.forward(planes)?.relu()?, self.pool_ceiled)?;
        taps.tap("stem", &x);
        for (stage, name) in self.stages.iter().zip(["res2", "res3", "res4"]) {
            x = stage.forward(&x)?;
            taps.tap(name, &x);
        }
        Ok(x)
    }
}

/// Max pooling over 3 x 3 windows with stride 2. Values must not be negative: zeros stand for what lies outside.
fn pooled(x: &Tensor, ceiled: bool) -> candle_core::Result<Tensor> {
    let before = usize::from(!ceiled);
    let behind = |side: usize| match ceiled {
        // Pads up to a whole number of windows, and at least one.
        true => 3usize.saturating_sub(side).max(side.saturating_sub(3) % 2),
        false => 1,
    };
    let (_, _, height, width) = x.dims4()?;
    x.pad_with_zeros(2, before, behind(height))?
        .pad_with_zeros(3, before, behind(width))?
        .max_pool2d_with_stride(3, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn windows_at_the_border() {
        for (side, ceiled, expected) in [
            (1, true, vec![1.0]),
            (2, true, vec![2.0]),
            (3, true, vec![3.0]),
            (4, true, vec![3.0, 4.0]),
            (5, true, vec![3.0, 5.0]),
            (6, true, vec![3.0, 5.0, 6.0]),
            (1, false, vec![1.0]),
            (4, false, vec![2.0, 4.0]),
            (5, false, vec![2.0, 4.0, 5.0]),
        ] {
            let line: Vec<f32> = (1..=side).map(|v| v as f32).collect();
            let x = Tensor::from_vec(line, (1, 1, 1, side), &Device::Cpu).unwrap();
            let found: Vec<f32> = pooled(&x, ceiled)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            assert_eq!(found, expected, "{side} ceiled {ceiled}");
        }
    }
}
