//! Cuts pictures given as planes into patches.

use candle_core::Tensor;
use ocellus_media::Grid;

use crate::error::ModelError;

/// Pictures `[n, channels, height, width]` → patches `[patches, channels · patch²]` in raster order, and their grids.
pub fn patch_rows(
    pixels: &Tensor,
    patch: usize,
    sizes: Option<&[(usize, usize)]>,
) -> Result<(Tensor, Vec<Grid>), ModelError> {
    let (count, channels, height, width) = pixels.dims4()?;
    let (mut rows, mut grids) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for i in 0..count {
        let (h, w) = sizes.and_then(|s| s.get(i).copied()).unwrap_or((height, width));
        let (h, w) = (h / patch, w / patch);
        if h == 0 || w == 0 || h * patch > height || w * patch > width {
            let expected = format!("at least {patch}x{patch} and at most {width}x{height} px");
            return Err(ModelError::input(
                "a picture",
                expected,
                format!("{w}x{h} patches"),
            ));
        }
        let picture = pixels
            .get(i)?
            .narrow(1, 0, h * patch)?
            .narrow(2, 0, w * patch)?
            .contiguous()?
            .reshape((channels, h, patch, w, patch))?
            .permute((1, 3, 0, 2, 4))? // [h, w, channels, patch, patch]
            .contiguous()?;
        rows.push(picture.reshape((h * w, channels * patch * patch))?);
        grids.push(Grid { t: 1, h, w });
    }
    Ok((Tensor::cat(&rows, 0)?, grids))
}
