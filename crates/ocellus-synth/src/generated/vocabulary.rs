//! Words, names and endings that generated text is made of.

#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    "file", "system", "user", "package", "kernel", "server", "value", "option", "table", "index", "data",
    "line", "name", "path", "shell", "window", "network", "device", "page", "report", "total", "price",
    "order", "section", "chapter", "figure", "result", "method", "model", "image", "text", "font", "width",
    "height", "color", "input", "output", "error", "status", "version", "update", "install", "remove",
    "config", "default", "current", "remote", "local", "branch", "commit", "license", "library", "module",
    "function", "string", "integer", "float", "buffer", "queue", "thread", "signal", "process", "memory",
    "cache", "block", "sector", "volume", "mount", "backup",
];

#[rustfmt::skip]
pub(super) const TOOLS: &[&str] = &[
    "apt", "apt-get", "dpkg", "ls", "cat", "grep", "sed", "awk", "find", "tar", "gzip", "git", "ssh", "scp",
    "rsync", "curl", "make", "gcc", "python3", "perl", "mount", "fsck.ext4", "mkfs", "lsblk", "ip", "ping",
    "systemctl", "journalctl", "useradd", "chmod", "chown", "ps", "top", "kill", "nice", "cron", "crontab",
    "vim", "emacs", "less", "xterm", "startx", "docker", "cargo", "rustc", "node", "npm", "psql", "mysql",
    "sqlite3", "openssl", "gpg", "bash", "dash", "zsh", "nohup", "xargs", "sort", "uniq", "cut", "tr", "wc",
    "head", "tail", "tee", "dd", "losetup",
];

#[rustfmt::skip]
pub(super) const NAMES: &[&str] = &[
    "Anna", "Ben", "Chloé", "David", "Élise", "Frank", "Grace", "Hélène", "Ivan", "José", "Karin", "Lukas",
    "María", "Nils", "Olivia", "Peter", "Quentin", "Rosa", "Søren", "Tomás", "Ursula", "Victor", "Wei",
    "Xavier", "Yusuf", "Zoë", "Müller", "Schmidt", "García", "Rossi", "Novak", "Smith", "Jones", "Brown",
    "Dubois", "Lefèvre", "Muñoz", "Åberg", "Jørgensen", "Silva", "Costa", "O'Neill", "McKay", "van Dijk",
    "de la Cruz", "Weiß", "Groß", "Çelik",
];

#[rustfmt::skip]
pub(super) const MONTHS: &[&str] = &[
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December", "Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[rustfmt::skip]
pub(super) const DAYS: &[&str] = &[
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Monday", "Friday", "Sunday",
];

#[rustfmt::skip]
pub(super) const TOPS: &[&str] = &[
    "com", "org", "net", "io", "de", "fr", "eu", "co.uk", "edu", "example",
];

#[rustfmt::skip]
pub(super) const DIRS: &[&str] = &[
    "usr", "etc", "var", "home", "lib", "share", "doc", "bin", "log", "src", "tmp", "opt", "dev", "boot",
];

#[rustfmt::skip]
pub(super) const ENDINGS: &[&str] = &[
    "txt", "conf", "gz", "tar.gz", "html", "py", "c", "h", "rs", "log", "pdf", "png", "xml", "json", "sh",
    "deb",
];

#[rustfmt::skip]
pub(super) const UNITS: &[&str] = &[
    "kB", "MB", "GB", "GiB", "ms", "s", "min", "h", "km", "m", "cm", "mm", "px", "pt", "kg", "g", "°C", "K",
    "Hz", "GHz", "dpi", "W", "V", "bit", "µs", "µm", "m²",
];
