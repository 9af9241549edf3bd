//! What can be wrong with an archive or a stream around a good pickle.

use crate::assemble::{
    Pickle, SIX, Stored, archive, floats, open, refusal, small, stored, stream, with_end, zip,
};
use ocellus_weights::Weights;
use proptest::prelude::*;

fn data() -> Vec<u8> {
    floats(&SIX)
}

/// The files of a good archive, to be changed.
fn files() -> Vec<Stored> {
    vec![stored("x/data.pkl", &small()), stored("x/data/0", &data())]
}

#[test]
fn archives_that_torch_could_have_written() {
    let renamed = |prefix: &str| {
        vec![
            stored(&format!("{prefix}data.pkl"), &small()),
            stored(&format!("{prefix}data/0"), &data()),
            stored(&format!("{prefix}.format_version"), b"1"),
        ]
    };
    for (what, files, wide) in [
        ("64-bit sizes", files(), true),
        ("the usual prefix", renamed("archive/"), false),
        ("a long prefix", renamed("some/folder of mine/é/"), false),
        ("no prefix", renamed(""), false),
        ("no other files", files(), false),
    ] {
        let weights = open(zip(&files, wide)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(weights.view("w").unwrap().to_f32().unwrap(), SIX, "{what}");
    }
}

/// Offsets above 4 GiB are where the 64-bit fields matter. The large storage is a hole, which takes no room on the disk.
#[cfg(unix)]
#[test]
fn an_archive_of_more_than_four_gigabytes() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let elements = 5i64 << 28; // of four bytes
    let saved = Pickle::new()
        .raw(b"}(")
        .text("large")
        .tensor("0", elements, 0, &[elements], &[1])
        .text("w")
        .tensor("1", 6, 0, &[6], &[1])
        .raw(b"u")
        .stop();
    let mut files = [
        stored("x/data.pkl", &saved),
        stored("x/data/0", b""),
        stored("x/data/1", &data()),
    ];
    files[1].size = Some(4 * elements as u64);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.pt");
    let file = std::fs::File::create(&path).unwrap();
    let (mut at, mut directory) = (0, Vec::new());
    for stored in &files {
        directory.extend(stored.central(at, true));
        file.write_all_at(&stored.local(), at).unwrap();
        at += stored.local().len() as u64;
        file.write_all_at(&stored.data, at).unwrap();
        at += stored.size.unwrap_or(stored.data.len() as u64);
        file.set_len(at).unwrap();
        if file.metadata().unwrap().blocks() * 512 > 1 << 20 {
            eprintln!("skipped: this file system has no holes");
            return;
        }
    }
    file.write_all_at(&with_end(directory, at, 3, true), at).unwrap();
    let weights = Weights::from_file(&path).unwrap();
    assert_eq!(weights.view("w").unwrap().to_f32().unwrap(), SIX);
    let large = weights.view("large").unwrap();
    assert_eq!(
        (large.elements() as i64, large.bytes.last()),
        (elements, Some(&0))
    );
}

#[test]
fn damaged_archives() {
    let changed = |change: fn(&mut Vec<Stored>)| {
        let mut files = files();
        change(&mut files);
        zip(&files, false)
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "compressed",
            changed(|f| f[1].method = 8),
            "`x/data/0` in it is compressed (method 8)",
        ),
        (
            "compressed pickle",
            changed(|f| f[0].method = 8),
            "`x/data.pkl` in it is compressed",
        ),
        (
            "encrypted",
            changed(|f| f[1].flags = 1),
            "`x/data/0` is encrypted",
        ),
        (
            "no pickle",
            changed(|f| f[0].name = "x/data.pickle".to_string()),
            "0 files `data.pkl`",
        ),
        (
            "two pickles",
            changed(|f| f.push(stored("y/data.pkl", b""))),
            "2 files `data.pkl`",
        ),
        ("no file", zip(&[], false), "0 files `data.pkl`"),
        (
            "listed twice",
            changed(|f| f.push(f[1].clone())),
            "`x/data/0` is listed twice",
        ),
        (
            "two names for one header",
            changed(|f| {
                let mut twin = f[1].clone();
                (twin.name, twin.header) = ("x/data/1".to_string(), Some(0));
                f.push(twin);
            }),
            "the header of `x/data/1` do not agree",
        ),
        (
            "one file inside another",
            changed(|f| {
                let inner = zip(&[stored("x/data/1", &[0; 8])], false);
                f[1].data = inner;
                let mut twin = stored("x/data/1", &[0; 8]);
                twin.header = Some((zip(&f[..1], false).len() - 22 - 62) as u64 + 43);
                f.push(twin);
            }),
            "overlap",
        ),
        (
            "larger than the file",
            changed(|f| f[1].size = Some(1 << 20)),
            "`x/data/0` (1048576 bytes at byte",
        ),
        (
            "into the directory",
            changed(|f| f[1].size = Some(60)),
            "is not inside the file",
        ),
        (
            "outside",
            changed(|f| f[1].header = Some(1 << 30)),
            "is not inside the file",
        ),
        (
            "another name inside",
            changed(|f| f[1].local_name = Some("x/data/9".to_string())),
            "do not agree",
        ),
        (
            "storage missing",
            changed(|f| drop(f.pop())),
            "tensor `w` cannot be read: storage `0` is not in the file",
        ),
        (
            "storage too short",
            changed(|f| f[1].data.truncate(20)),
            "storage `0` should hold 6 elements of F32, found 20 bytes",
        ),
        (
            "big-endian",
            changed(|f| f.push(stored("x/byteorder", b"big"))),
            "byte order",
        ),
        (
            "a program",
            changed(|f| f.push(stored("x/constants.pkl", b""))),
            "TorchScript",
        ),
        (
            "something after it",
            [zip(&files(), false), vec![0]].concat(),
            "has something after it",
        ),
        ("cut", zip(&files(), false)[..200].to_vec(), "cut short"),
    ];
    for (what, bytes, expected) in cases {
        let message = refusal(bytes);
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn damaged_directories() {
    let good = zip(&files(), false);
    let (end, wide_end) = (good.len() - 22, zip(&files(), true));
    let patched = |bytes: &[u8], at: usize, with: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let wide = wide_end.len() - 22 - 20 - 56;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "one file too few",
            patched(&good, end + 10, &[1]),
            "more than the files it counts",
        ),
        (
            "one file too many",
            patched(&good, end + 10, &[3]),
            "directory is damaged",
        ),
        (
            "far too many",
            patched(&wide_end, wide + 32, &[0xff; 8]),
            "more than the 262208",
        ),
        (
            "starts outside",
            patched(&good, end + 16, &[0xff, 0xff, 0xff, 0x7f]),
            "not inside the file",
        ),
        (
            "too long",
            patched(&good, end + 12, &[0xff, 0xff, 0xff, 0x7f]),
            "not inside the file",
        ),
        ("several disks", patched(&good, end + 4, &[1]), "several files"),
        (
            "no 64-bit record",
            patched(&wide_end, wide, b"XX"),
            "64-bit end record is missing",
        ),
        (
            "64-bit overflow",
            patched(&wide_end, wide + 40, &[0xff; 16]),
            "not inside the file",
        ),
        // The last entry is 46 bytes, its name of 8 and its extra field of 6.
        (
            "saturated alone",
            patched(&good, end - 60 + 42, &[0xff; 4]),
            "`x/data/0` lacks its 64-bit sizes",
        ),
    ];
    for (what, bytes, expected) in cases {
        let message = refusal(bytes);
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn damaged_streams() {
    let good = || stream(&small(), &[("0", 6, &data())]);
    let two = Pickle::new()
        .raw(b"}(")
        .text("a")
        .tensor("0", 6, 0, &[6], &[1])
        .text("b")
        .tensor_of("LongStorage", "0", 6, 0, &[6], &[1])
        .raw(b"u")
        .stop();
    let negative = Pickle::new()
        .raw(b"}")
        .text("a")
        .tensor("0", -1, 0, &[0], &[1])
        .raw(b"s")
        .stop();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a plain pickle",
            Pickle::new().raw(b"}").stop(),
            "does not begin with torch's magic number",
        ),
        (
            "another count",
            stream(&small(), &[("0", 5, &data())]),
            "should have 6 elements, found 5",
        ),
        (
            "too few bytes",
            stream(&small(), &[("0", 6, &data()[..23])]),
            "ends within storage `0`",
        ),
        (
            "bytes after it",
            [good(), vec![0]].concat(),
            "1 bytes of data belong to no tensor",
        ),
        (
            "no storage",
            stream(&small(), &[]),
            "storage `0` is not in the file",
        ),
        (
            "unknown storage",
            stream(&small(), &[("0", 6, &data()), ("1", 0, b"")]),
            "what storage `1` holds",
        ),
        (
            "storage twice",
            stream(&small(), &[("0", 6, &data()), ("0", 6, &data())]),
            "listed twice",
        ),
        (
            "two types",
            stream(&two, &[("0", 6, &data())]),
            "two types or lengths",
        ),
        (
            "a negative length",
            stream(&negative, &[("0", -1, b"")]),
            "cannot be",
        ),
    ];
    for (what, bytes, expected) in cases {
        let message = refusal(bytes);
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn other_things_with_the_name_of_a_checkpoint() {
    let mut tar = vec![b'x'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, expected) in [
        (b"".to_vec(), "expected a zip archive or a pickle, found 0 bytes"),
        (b"\x89HDF\r\n".to_vec(), "found 6 bytes (89 48 44 46 …)"),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "Git LFS pointer",
        ),
        (b"<!DOCTYPE html>".to_vec(), "HTML page"),
        (b"GGUF\x03\0\0\0".to_vec(), "GGUF"),
        (tar, "tar archive"),
    ] {
        let message = refusal(bytes);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn files_cut_at_every_byte_are_refused() {
    for bytes in [
        archive(&small(), &[("0", &data())]),
        stream(&small(), &[("0", 6, &data())]),
    ] {
        for length in 0..bytes.len() {
            refusal(bytes[..length].to_vec());
        }
    }
}

proptest! {
    #[test]
    fn changed_files_never_panic(at in 0usize..10_000, to in any::<u8>(), again in 0usize..10_000, other in any::<u8>()) {
        for mut bytes in [
            archive(&small(), &[("0", &data())]),
            zip(&files(), true),
            stream(&small(), &[("0", 6, &data())]),
        ] {
            let length = bytes.len();
            bytes[at % length] = to;
            bytes[again % length] = other;
            if let Ok(weights) = open(bytes) {
                for name in weights.names() {
                    let view = weights.view(name).unwrap();
                    prop_assert_eq!(view.bytes.len(), view.shape.iter().product::<usize>() * view.dtype.size_bytes());
                }
            }
        }
    }

    #[test]
    fn any_program_is_refused_or_read(program in prop::collection::vec(any::<u8>(), 0..200)) {
        for bytes in [Pickle::new().raw(&program).0, archive(&Pickle::new().raw(&program).stop(), &[("0", &data())])] {
            if let Err(error) = open(bytes) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
