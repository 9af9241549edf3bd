#!/usr/bin/env bash
# Gathers the fonts and the texts that training pictures of the built-in model are made of.
#
#   tools/nano/gather.sh CACHE [MANIFEST [LIST...]]
#
# Every source is a free (main) Debian package named in a list beside this script: packages.tsv, where no other is given;
# chinese.tsv has what the reader of Chinese and English takes beside it. Downloads go to CACHE/debs, faces to
# CACHE/fonts/<package>/, plain text to CACHE/corpus/<package>.txt (Chinese: <package>.zh.txt), and one row per package (kind, name, version,
# licence, files or bytes taken, sha256 of the package) to MANIFEST. Running it again fetches only what is missing.
# Needs: apt-get, dpkg-deb, mandoc, python3.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${1:?usage: gather.sh CACHE [MANIFEST]}
manifest=${2:-$here/../../models/nano/sources.tsv}
lists=("${@:3}")
[ ${#lists[@]} -gt 0 ] || lists=("$here/packages.tsv")
mkdir -p "$cache/debs" "$cache/fonts" "$cache/corpus" "$(dirname "$manifest")"
cache=$(cd "$cache" && pwd)

command -v mandoc >/dev/null || apt-get install -y --no-install-recommends mandoc >/dev/null

fetch() { # package -> path of its .deb in the cache
    local found
    found=$(find "$cache/debs" -name "$1_*.deb" | sort | head -n 1)
    if [ -z "$found" ]; then
        (cd "$cache/debs" && apt-get download "$1" >/dev/null 2>&1) || { echo "not to be had: $1" >&2; return 1; }
        found=$(find "$cache/debs" -name "$1_*.deb" | sort | head -n 1)
    fi
    echo "$found"
}

licence() { # unpacked folder, package -> short licence names of its copyright file
    local file="$1/usr/share/doc/$2/copyright" names
    [ -f "$file" ] || file=$(find "$1/usr/share/doc" -name copyright -type f 2>/dev/null | head -n 1)
    if [ -z "$file" ]; then
        echo "see its source package"
        return
    fi
    names=$(sed -n 's/^License:[[:space:]]*\([^[:space:]].*\)$/\1/p' "$file" | sort -u | head -n 8 | paste -sd';' | sed 's/;/; /g')
    if [ -z "$names" ]; then
        for word in "SIL OPEN FONT LICENSE" "Open Font License" "GUST Font" "Bitstream Vera" "Apache License" \
            "GNU General Public License" "GNU Free Documentation License" "GNU GENERAL PUBLIC LICENSE" "common-licenses/GPL" \
            "public domain" "MIT"; do
            if grep -qi -- "$word" "$file"; then names="${names:+$names; }$word"; fi
        done
    fi
    echo "${names:-see its copyright file}"
}

rows=$(mktemp)
trap 'rm -rf "$rows" "${unpacked:-}"' EXIT
while IFS=$'\t' read -r kind package patterns stated; do
    case $kind in '' | \#*) continue ;; esac
    case $package in debian-reference*) echo "refused: $package is measured on" >&2; exit 1 ;; esac
    deb=$(fetch "$package") || continue
    unpacked=$(mktemp -d)
    dpkg-deb -x "$deb" "$unpacked"
    if [ "$kind" = font ]; then
        target="$cache/fonts/$package"
        mkdir -p "$target"
        set -f
        for pattern in $patterns; do
            find "$unpacked" -type f -path "$unpacked/$pattern" -exec cp -n {} "$target/" \;
        done
        set +f
        taken="$(find "$target" -type f | wc -l) files"
    else
        ending=txt
        if [ "$kind" = chinese ]; then ending=zh.txt patterns="$patterns script:han"; fi
        target="$cache/corpus/$package.$ending"
        if [ ! -s "$target" ]; then
            set -f
            python3 "$here/plain_text.py" "$unpacked" $patterns >"$target"
            set +f
        fi
        taken="$(stat -c %s "$target") bytes"
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$kind" "$package" "$(dpkg-deb -f "$deb" Version)" \
        "${stated:-$(licence "$unpacked" "$package")}" "$taken" "$(sha256sum "$deb" | cut -d' ' -f1)" >>"$rows"
    rm -rf "$unpacked"
done < <(cat "${lists[@]}")

{
    printf 'kind\tpackage\tversion\tlicence\ttaken\tsha256\n'
    cat "$rows"
} >"$manifest"
echo "$(find "$cache/fonts" -type f | wc -l) font files, $(cat "$cache"/corpus/*.txt | wc -c) bytes of text"
