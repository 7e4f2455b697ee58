//! What a target exposes as a body of remote write: exposition.py says what for.
//!
//!     Lexer    tokens of the text formats, in Prometheus's names: what it refuses, we refuse
//!     Scrape   one body on its way: fast() for series that are known, entry() for all else
//!     Target   what is remembered of a target: its series, by the bytes that it names them with
//!     Part     of a classic histogram that becomes one with custom buckets: what a line stands for
//!
//! Compiled with bounds checks, but a failed one would end the process: what is read may be anything,
//! so every read asks first.

const std = @import("std");
const histograms = @import("histograms.zig");

const gpa = histograms.gpa;
const Bytes = histograms.Bytes;
const Failure = histograms.Failure;
const Field = histograms.Field;
const Wire = histograms.Wire;
const put_length = histograms.put_length;
const put_text = histograms.put_text;
const put_varint = histograms.put_varint;
const text_bytes = histograms.text_bytes;
const varint_bytes = histograms.varint_bytes;

const stale_nan: u64 = 0x7ff0000000000002;
const normal_nan = histograms.normal_nan;

/// Beyond this a target names no further series.
const series_max = 1 << 20;
/// Scrapes for which a series that is gone is remembered.
const scrapes_remembered = 2;
/// Characters of the labels of an exemplar.
const exemplar_runes_max = 128;
const labels_max = 4096;

/// As FORMATS of exposition.py.
const text_format = 0;
const open_metrics = 1;
const protobuf = 2;

/// As Options of exposition.py. A limit of 0 is none.
const Options = extern struct {
    default_ms: i64,
    /// Samples after this are left out.
    latest_ms: i64,
    sample_limit: u64,
    /// What may be written: a short line stands for all labels of its target.
    written_bytes_max: u64,
    label_limit: u64,
    label_name_bytes_max: u64,
    label_value_bytes_max: u64,
    format: u8,
    honor_labels: bool,
    honor_timestamps: bool,
    track_timestamps: bool,
    legacy_names: bool,
    /// Series that are new are relabelled by the caller.
    relabels: bool,
    all_metadata: bool,
    /// Of a histogram that has native buckets the classic ones too.
    classic_histograms: bool,
    native_histograms: bool,
    /// Classic histograms become native ones with custom buckets.
    custom_buckets: bool,
    /// Of a native histogram.
    schema_max: i8,
    bucket_limit: u64,
};

/// As Result of exposition.py.
const Result = extern struct {
    scraped: u64 = 0,
    kept: u64 = 0,
    added: u64 = 0,
    duplicates: u64 = 0,
    out_of_bounds: u64 = 0,
    unknown: u64 = 0,
    failure: u32 = 0,
    token: u32 = 0,
    /// Of the token, of the entry, and of what the failure is about.
    token_start: u64 = 0,
    token_end: u64 = 0,
    entry_start: u64 = 0,
    entry_end: u64 = 0,
    about_start: u64 = 0,
    about_end: u64 = 0,
    number: u64 = 0,
};

/// As FAILURES of exposition.py.
const Refusal = enum(u32) {
    none,
    expected,
    token_only,
    metric_type,
    help_utf8,
    unit_suffix,
    after_eof,
    no_eof,
    float_syntax,
    float_range,
    timestamp_range,
    timestamp_not_finite,
    exemplar_timestamp_not_finite,
    no_name,
    name_twice,
    value_utf8,
    sample_limit,
    label_limit,
    label_name_length,
    label_value_length,
    no_metric_name,
    names,
    label_twice,
    too_many_series,
    too_many_labels,
    protobuf,
    bad_histogram,
    too_much,
    bucket_limit,
    bad_classic,
};

/// What was expected where there is a wrong token: as EXPECTED of exposition.py.
const Expected = enum(u64) {
    name_after_help,
    name_after_type,
    name_after_unit,
    linebreak_after_metadata,
    linebreak_after_comment,
    start_token,
    value_after_metric,
    value_after_exemplar,
    entry_after_timestamp,
    timestamp_or_record,
    label_name,
    equal,
    label_value,
    comma_or_brace,
    entry_after_exemplar_timestamp,
    timestamp_or_comment,
};

/// As TOKENS of exposition.py.
const Token = enum(u32) {
    invalid,
    eof,
    linebreak,
    help,
    type,
    unit,
    eof_word,
    text,
    comment,
    metric_name,
    quoted,
    brace_open,
    brace_close,
    label_name,
    label_value,
    comma,
    equal,
    timestamp,
    value,
};

/// As in prometheus.MetricMetadata.
const Kind = enum(u8) { unknown, counter, gauge, histogram, gauge_histogram, summary, info, stateset };

const Label = struct {
    name: []const u8,
    value: []const u8,

    fn before(_: void, one: Label, other: Label) bool {
        return std.mem.order(u8, one.name, other.name) == .lt;
    }
};

/// Numbers by a hash: open addressing with linear probing, at most half full. No key is 0.
const Index = struct {
    const Slot = struct { key: u64 = 0, value: u32 = 0, seen: u32 = 0 };

    slots: []Slot = &.{},
    count: usize = 0,

    fn get(self: *const Index, key: u64) ?*Slot {
        if (self.slots.len == 0) return null;
        const slot = self.place(key);
        return if (slot.key == key) slot else null;
    }

    fn put(self: *Index, key: u64, value: u32) Failure!*Slot {
        if (2 * (self.count + 1) > self.slots.len) try self.grow(@max(64, 2 * self.slots.len));
        const slot = self.place(key);
        if (slot.key == 0) self.count += 1;
        slot.key = key;
        slot.value = value;
        return slot;
    }

    fn place(self: *const Index, key: u64) *Slot {
        const mask = self.slots.len - 1;
        var at: usize = key & mask;
        while (self.slots[at].key != key and self.slots[at].key != 0) at = (at + 1) & mask;
        return &self.slots[at];
    }

    fn grow(self: *Index, count: usize) Failure!void {
        const before = self.slots;
        self.slots = try gpa.alloc(Slot, count);
        @memset(self.slots, .{});
        for (before) |slot| if (slot.key != 0) {
            self.place(slot.key).* = slot;
        };
        if (before.len > 0) gpa.free(before);
    }

    fn free(self: *Index) void {
        if (self.slots.len > 0) gpa.free(self.slots);
        self.* = .{};
    }
};

/// The series that a name stands for; `dropped` where relabelling leaves nothing.
const dropped = std.math.maxInt(u32);

const Series = struct {
    head_hash: u64,
    /// Of the newest exemplar; of a histogram, that may have many, its time.
    exemplar: u64 = 0,
    exemplar_ms: i64 = std.math.minInt(i64),
    exemplar_scrape: u32 = 0,
    /// The labels, as fields of a TimeSeries, among all heads.
    head_start: u32,
    head_bytes: u32,
    /// The scrapes in which it had a sample, and one that makes it stale when it is gone.
    seen: u32 = 0,
    tracked: u32 = 0,
    is_alive: bool = false,
    is_histogram: bool = false,
};

/// What a line below a TYPE of a histogram is to the one that it becomes a part of.
const Part = struct {
    const Role = enum { none, bucket, count, sum };

    /// Of the name in that TYPE.
    family: u64,
    group: u32,
    role: Role = .none,
    bound: f64 = 0,
};

/// The histogram that its parts become, by a name that no line has. Its labels are among group_heads.
const Group = struct { key: u64, head_start: u32, head_bytes: u32 };

const Target = struct {
    seed: u64,
    labels: []Label,
    label_bytes: []u8,
    /// Which scrape this is, from 1 on, and the last one before it that has not failed.
    scrape: u32 = 0,
    good: u32 = 0,
    names: Index = .{},
    by_head: Index = .{},
    series: std.ArrayList(Series) = .empty,
    heads: Bytes = .empty,
    families: Index = .{},
    parts: Index = .{},
    part_list: std.ArrayList(Part) = .empty,
    groups: Index = .{},
    group_list: std.ArrayList(Group) = .empty,
    group_heads: Bytes = .empty,
    /// Parts that this scrape has seen.
    parts_seen: usize = 0,

    fn head(self: *const Target, number: u32) []const u8 {
        const one = self.series.items[number];
        return self.heads.items[one.head_start..][0..one.head_bytes];
    }

    fn key(self: *const Target, bytes: []const u8) u64 {
        return @max(1, std.hash.Wyhash.hash(self.seed, bytes));
    }

    /// The number of the series that has these labels.
    fn number_of_labels(self: *Target, labels: []const u8) Failure!u32 {
        const hash = self.key(labels);
        if (self.by_head.get(hash)) |slot| return slot.value;
        const new: u32 = @intCast(self.series.items.len);
        if (self.heads.items.len + labels.len > std.math.maxInt(u32)) return error.OutOfMemory;
        try self.series.append(gpa, .{
            .head_hash = hash,
            .head_start = @intCast(self.heads.items.len),
            .head_bytes = @intCast(labels.len),
        });
        try self.heads.appendSlice(gpa, labels);
        _ = try self.by_head.put(hash, new);
        return new;
    }

    /// Forget names that have not been seen for some scrapes, and the series that only they had.
    fn forget(self: *Target) Failure!void {
        var old = self.*;
        self.names = .{};
        self.by_head = .{};
        self.series = .empty;
        self.heads = .empty;
        for (old.names.slots) |slot| {
            if (slot.key == 0 or self.scrape - slot.seen > scrapes_remembered) continue;
            var value: u32 = dropped;
            if (slot.value != dropped) {
                const one = old.series.items[slot.value];
                value = try self.number_of_labels(old.head(slot.value));
                const kept = &self.series.items[value];
                kept.exemplar = one.exemplar;
                kept.exemplar_ms = one.exemplar_ms;
                kept.seen = one.seen;
                kept.tracked = one.tracked;
                kept.is_alive = one.is_alive;
                kept.is_histogram = one.is_histogram;
            }
            (try self.names.put(slot.key, value)).seen = slot.seen;
        }
        old.free_series();
    }

    /// Lines tell again what they are parts of.
    fn forget_parts(self: *Target) void {
        self.parts.free();
        self.groups.free();
        self.part_list.clearAndFree(gpa);
        self.group_list.clearAndFree(gpa);
        self.group_heads.clearAndFree(gpa);
    }

    fn free_series(self: *Target) void {
        self.names.free();
        self.by_head.free();
        self.series.deinit(gpa);
        self.heads.deinit(gpa);
    }
};

/// A series that is new and that the caller relabels: as UNKNOWN of exposition.py.
const Unknown = extern struct { key: u64, head_start: u64, head_end: u64 };

/// What is written, and what is only needed on the way; for one scrape after the other.
const Scratch = struct {
    out: Bytes = .empty,
    metadata: Bytes = .empty,
    heads: Bytes = .empty,
    head: Bytes = .empty,
    histogram: histograms.Histogram = .{},
    histogram_bytes: Bytes = .empty,
    classic: histograms.Classic = .{},
    /// Of the parts of a histogram.
    exemplars: std.ArrayList(Exemplar) = .empty,
    exemplar_bytes: Bytes = .empty,
    exemplar: Bytes = .empty,
    /// What a series of protobuf is called here.
    text: Bytes = .empty,
    unknown: std.ArrayList(Unknown) = .empty,
    labels: std.ArrayList(Label) = .empty,
    arena: std.heap.ArenaAllocator = .init(gpa),
};

const State = enum { init, comment, meta1, meta2, labels, label_value, value, timestamp, exemplar, exemplar_value, exemplar_sample, exemplar_timestamp };

/// Tokens of text/plain (promlex.l) and of OpenMetrics (openmetricslex.l of Prometheus).
const Lexer = struct {
    bytes: []const u8,
    is_open: bool,
    at: usize = 0,
    start: usize = 0,
    state: State = .init,

    fn next(self: *Lexer) Token {
        if (self.is_open) return self.open_token();
        while (true) {
            while (self.at < self.bytes.len and (self.peek() == ' ' or self.peek() == '\t') and
                !(self.state == .meta2 and !self.rest_is_blank())) self.at += 1;
            self.start = self.at;
            if (self.plain_token()) |token| return token;
        }
    }

    fn buffer(self: *const Lexer) []const u8 {
        return self.bytes[self.start..self.at];
    }

    fn peek(self: *const Lexer) u8 {
        return if (self.at < self.bytes.len) self.bytes[self.at] else 0;
    }

    fn at_end(self: *const Lexer) bool {
        return self.at >= self.bytes.len;
    }

    fn rest_is_blank(self: *const Lexer) bool {
        var at = self.at;
        while (at < self.bytes.len and self.bytes[at] != '\n') : (at += 1) {
            if (self.bytes[at] != ' ' and self.bytes[at] != '\t') return false;
        }
        return true;
    }

    /// The next token of text/plain, or null where the state has changed. The end of the body is a
    /// line break, where there is none.
    fn plain_token(self: *Lexer) ?Token {
        if (self.at_end()) {
            if (self.state == .init) return .eof;
            if (self.state == .comment) return self.comment();
            if (self.state == .timestamp) {
                self.state = .init;
                return .linebreak;
            }
            if (self.state != .meta2) return .invalid;
        }
        switch (self.state) {
            .init => switch (self.peek()) {
                '\n' => return self.one(.linebreak, .init),
                '{' => return self.one(.brace_open, .labels),
                '#' => {
                    self.at += 1;
                    if (self.peek() != ' ' and self.peek() != '\t') return self.comment();
                    while (self.peek() == ' ' or self.peek() == '\t') self.at += 1;
                    self.state = .comment;
                    return null;
                },
                else => return self.name(.metric_name, .value, true),
            },
            .comment => {
                if (self.word("HELP")) return .help;
                if (self.word("TYPE")) return .type;
                return self.comment();
            },
            .meta1 => {
                if (self.peek() == '"') return self.quoted(.metric_name, .meta2, true);
                return self.name(.metric_name, .meta2, true);
            },
            .meta2 => {
                while (!self.at_end() and self.peek() != '\n') self.at += 1;
                self.state = .timestamp;
                return .text;
            },
            .labels => return self.label_token(.labels, .label_value, .value),
            .label_value => return self.quoted(.label_value, .labels, true),
            .value => {
                if (self.peek() == '{') return self.one(.brace_open, .labels);
                while (!self.at_end() and std.mem.indexOfScalar(u8, "{ \t\n", self.peek()) == null) self.at += 1;
                if (self.at == self.start) return .invalid;
                self.state = .timestamp;
                return .value;
            },
            .timestamp => {
                if (self.peek() == '\n') return self.one(.linebreak, .init);
                while (std.ascii.isDigit(self.peek())) self.at += 1;
                return if (self.at == self.start) .invalid else .timestamp;
            },
            else => return .invalid,
        }
    }

    fn open_token(self: *Lexer) Token {
        self.start = self.at;
        if (self.at_end()) return .eof;
        switch (self.state) {
            .init => switch (self.peek()) {
                '{' => return self.one(.brace_open, .labels),
                '#' => {
                    self.at += 1;
                    if (self.peek() != ' ') return .invalid;
                    self.at += 1;
                    self.start = self.at;
                    return self.open_comment();
                },
                else => return self.name(.metric_name, .value, true),
            },
            .meta1 => {
                if (self.peek() == '"') return self.quoted(.metric_name, .meta2, true);
                return self.name(.metric_name, .meta2, true);
            },
            .meta2 => {
                if (self.peek() != ' ') return .invalid;
                const end = std.mem.indexOfScalarPos(u8, self.bytes, self.at, '\n') orelse return .invalid;
                self.at = end + 1;
                self.state = .init;
                return .text;
            },
            .labels => return self.label_token(.labels, .label_value, .value),
            .label_value => return self.quoted(.label_value, .labels, false),
            .value => {
                if (self.peek() == '{') return self.one(.brace_open, .labels);
                return self.spaced(.value, .timestamp);
            },
            .timestamp => {
                if (self.peek() == '\n') return self.one(.linebreak, .init);
                if (std.mem.startsWith(u8, self.bytes[self.at..], " # {")) {
                    self.at += 4;
                    self.state = .exemplar;
                    return .comment;
                }
                return self.spaced(.timestamp, .timestamp);
            },
            .exemplar => return self.label_token(.exemplar, .exemplar_value, .exemplar_sample),
            .exemplar_value => return self.quoted(.label_value, .exemplar, false),
            .exemplar_sample => return self.spaced(.value, .exemplar_timestamp),
            .exemplar_timestamp => {
                if (self.peek() == '\n') return self.one(.linebreak, .init);
                return self.spaced(.timestamp, .exemplar_timestamp);
            },
            .comment => return .invalid,
        }
    }

    fn open_comment(self: *Lexer) Token {
        const rest = self.bytes[self.at..];
        const words = [_]struct { []const u8, Token }{ .{ "HELP ", .help }, .{ "TYPE ", .type }, .{ "UNIT ", .unit } };
        for (words) |pair| if (std.mem.startsWith(u8, rest, pair[0])) {
            self.at += pair[0].len;
            self.state = .meta1;
            return pair[1];
        };
        if (!std.mem.startsWith(u8, rest, "EOF")) return .invalid;
        self.at += 3;
        if (self.peek() == '\n') self.at += 1;
        self.state = .init;
        return .eof_word;
    }

    fn one(self: *Lexer, token: Token, state: State) Token {
        self.at += 1;
        self.state = state;
        return token;
    }

    fn word(self: *Lexer, text: []const u8) bool {
        if (!std.mem.startsWith(u8, self.bytes[self.at..], text)) return false;
        const end = self.at + text.len;
        if (end >= self.bytes.len or (self.bytes[end] != ' ' and self.bytes[end] != '\t')) return false;
        self.at = end;
        while (self.peek() == ' ' or self.peek() == '\t') self.at += 1;
        self.state = .meta1;
        return true;
    }

    fn comment(self: *Lexer) Token {
        while (!self.at_end() and self.peek() != '\n') self.at += 1;
        self.state = .timestamp;
        return .comment;
    }

    fn name(self: *Lexer, token: Token, state: State, with_colon: bool) Token {
        while (!self.at_end()) : (self.at += 1) {
            const byte = self.peek();
            const is_letter = std.ascii.isAlphabetic(byte) or byte == '_' or (with_colon and byte == ':');
            if (!is_letter and (self.at == self.start or !std.ascii.isDigit(byte))) break;
        }
        if (self.at == self.start) return .invalid;
        self.state = state;
        return token;
    }

    fn label_token(self: *Lexer, same: State, value: State, behind: State) Token {
        return switch (self.peek()) {
            '}' => self.one(.brace_close, behind),
            '=' => self.one(.equal, value),
            ',' => self.one(.comma, same),
            '"' => self.quoted(.quoted, same, same == .labels),
            else => self.name(.label_name, same, false),
        };
    }

    fn quoted(self: *Lexer, token: Token, state: State, with_lines: bool) Token {
        if (self.peek() != '"') return .invalid;
        var at = self.at + 1;
        while (at < self.bytes.len) : (at += 1) {
            switch (self.bytes[at]) {
                '"' => {
                    self.at = at + 1;
                    self.state = state;
                    return token;
                },
                '\\' => {
                    at += 1;
                    if (at >= self.bytes.len or self.bytes[at] == '\n') break;
                },
                '\n' => if (!with_lines) break,
                else => {},
            }
        }
        self.at = @min(at, self.bytes.len);
        return .invalid;
    }

    fn spaced(self: *Lexer, token: Token, state: State) Token {
        if (self.peek() != ' ') return .invalid;
        self.at += 1;
        const first = self.at;
        while (!self.at_end() and self.peek() != ' ' and self.peek() != '\n') self.at += 1;
        if (self.at == first) return .invalid;
        self.state = state;
        return token;
    }
};

/// `start` and `end` are of labels that are kept among others.
const Exemplar = struct {
    labels: []const u8 = "",
    start: usize = 0,
    end: usize = 0,
    value: f64 = 0,
    time_ms: ?i64 = null,
    runes: usize = 0,
};

const Scrape = struct {
    target: *Target,
    scratch: *Scratch,
    options: *const Options,
    result: *Result,
    body: []const u8,
    lexer: Lexer,
    kind: Kind = .unknown,
    family: []const u8 = "",
    family_kind: ?Kind = null,
    help: []const u8 = "",
    unit: []const u8 = "",
    entry_start: usize = 0,
    name: []const u8 = "",
    suffix: []const u8 = "",
    has_name: bool = false,
    is_over_limit: bool = false,
    is_over_buckets: bool = false,
    appended: u64 = 0,
    /// The name in the last TYPE.
    type_key: u64 = 0,
    /// The histogram whose parts come now, and when the last of them was.
    group: ?u32 = null,
    group_ms: ?i64 = null,

    fn run(self: *Scrape) Failure!void {
        while (true) {
            if (self.fast()) |line| {
                const is_part = if (line.part) |part| try self.take_part(part, line.value, line.time_ms) else false;
                if (is_part and !self.options.classic_histograms) continue;
                // Asked for again where a histogram has ended, which may have moved it.
                const slot = if (line.part == null) line.slot.? else self.target.names.get(line.key) orelse continue;
                try self.found(slot, line.value, line.time_ms);
            } else if (!try self.entry()) break;
        }
        try self.end_group();
        try self.end_family();
        try self.check_limits();
    }

    fn check_limits(self: *Scrape) Failure!void {
        if (self.is_over_limit) return self.refuse(.sample_limit);
        if (self.is_over_buckets) return self.refuse(.bucket_limit);
    }

    const Fast = struct { key: u64, slot: ?*Index.Slot, part: ?Part, value: f64, time_ms: ?i64 };

    /// The next line, if it is one sample of a series that is known, and nothing else.
    fn fast(self: *Scrape) ?Fast {
        const bytes = self.body;
        const start = self.lexer.at;
        var at = start;
        while (at < bytes.len and bytes[at] > ' ' and bytes[at] != '{' and bytes[at] != '#') at += 1;
        if (at == start or at >= bytes.len) return null;
        if (bytes[at] == '{') {
            at = labels_end(bytes, at + 1) orelse return null;
        }
        const key = self.target.key(bytes[start..at]);
        var part: ?Part = null;
        if (self.takes_parts()) part = self.known_part(key) orelse return null;
        const is_only_part = part != null and part.?.role != .none and !self.options.classic_histograms;
        const slot = if (is_only_part) null else self.target.names.get(key) orelse return null;
        if (at >= bytes.len or bytes[at] != ' ') return null;
        const value_start = at + 1;
        at = value_start;
        while (at < bytes.len and bytes[at] > ' ' and bytes[at] != '{') at += 1;
        if (at >= bytes.len) return null;
        const value = number_of(bytes[value_start..at]) orelse return null;
        var time_ms: ?i64 = null;
        if (bytes[at] == ' ' and self.options.format == text_format) {
            const time_start = at + 1;
            at = time_start;
            while (at < bytes.len and std.ascii.isDigit(bytes[at])) at += 1;
            time_ms = std.fmt.parseInt(i64, bytes[time_start..at], 10) catch return null;
        }
        if (at >= bytes.len or bytes[at] != '\n') return null;
        self.lexer.at = at + 1;
        return .{ .key = key, .slot = slot, .part = part, .value = value, .time_ms = time_ms };
    }

    /// Whatever comes next. Returns whether there was something.
    fn entry(self: *Scrape) Failure!bool {
        self.entry_start = self.lexer.at;
        const is_open = self.lexer.is_open;
        const token = self.lexer.next();
        switch (token) {
            .eof_word => {
                if (self.lexer.next() != .eof) return self.refuse(.after_eof);
                return false;
            },
            .eof => return if (is_open) self.refuse(.no_eof) else false,
            .linebreak => return true,
            .help, .type, .unit => try self.metadata(token),
            .comment => {
                try self.end_group();
                const after = self.lexer.next();
                if (after != .linebreak) return self.expected(.linebreak_after_comment, after);
            },
            .brace_open, .metric_name => try self.series(token),
            else => return self.expected(.start_token, token),
        }
        return true;
    }

    // --- metadata

    fn metadata(self: *Scrape, what: Token) Failure!void {
        try self.end_group();
        const name_token = self.lexer.next();
        if (name_token != .metric_name) return self.expected(switch (what) {
            .help => .name_after_help,
            .type => .name_after_type,
            else => .name_after_unit,
        }, name_token);
        const raw = self.lexer.buffer();
        const name = if (raw[0] == '"') try self.unescaped(raw[1 .. raw.len - 1]) else raw;
        const text_token = self.lexer.next();
        if (text_token != .text) {
            self.result.token = @backingInt(text_token);
            self.result.number = @backingInt(what);
            return self.refuse(.token_only);
        }
        var text = self.lexer.buffer();
        if (self.lexer.is_open) text = text[0 .. text.len - 1];
        text = if (text.len > 1) text[1..] else "";
        if (!std.mem.eql(u8, name, self.family)) {
            try self.end_family();
            self.family = name;
        }
        switch (what) {
            .type => {
                self.kind = kind_of(text, self.lexer.is_open) orelse return self.refuse_about(.metric_type, text);
                self.family_kind = self.kind;
                self.type_key = self.target.key(name);
            },
            .help => {
                if (!std.unicode.utf8ValidateSlice(text)) return self.refuse_about(.help_utf8, text);
                self.help = text;
            },
            else => {
                const is_suffix = text.len == 0 or (std.mem.endsWith(u8, raw, text) and
                    raw.len > text.len and raw[raw.len - text.len - 1] == '_');
                if (!is_suffix) {
                    self.result.token_start = @intFromPtr(text.ptr) - @intFromPtr(self.body.ptr);
                    self.result.token_end = self.result.token_start + text.len;
                    return self.refuse_about(.unit_suffix, raw);
                }
                self.unit = text;
            },
        }
        if (self.lexer.is_open) return;
        const after = self.lexer.next();
        if (after != .linebreak) return self.expected(.linebreak_after_metadata, after);
    }

    /// What was said about a family, as MetricMetadata, if it is new.
    fn end_family(self: *Scrape) Failure!void {
        defer {
            self.family = "";
            self.family_kind = null;
            self.help = "";
            self.unit = "";
        }
        if (self.family.len == 0) return;
        const kind = self.family_kind orelse .unknown;
        var hasher = std.hash.Wyhash.init(self.target.seed);
        hasher.update(&.{@backingInt(kind)});
        hasher.update(self.unit);
        hasher.update("\x00");
        hasher.update(self.help);
        const content: u32 = @truncate(hasher.final());
        const key = self.target.key(self.family);
        if (self.target.families.get(key)) |slot| {
            if (slot.value == content and !self.options.all_metadata) return;
        } else if (self.target.families.count >= series_max) return;
        if (!std.unicode.utf8ValidateSlice(self.family) or !std.unicode.utf8ValidateSlice(self.unit)) return;
        const help = try self.help_text(self.help);
        _ = try self.target.families.put(key, content);
        const kind_bytes: usize = if (kind == .unknown) 0 else 2;
        var size = kind_bytes + text_bytes(self.family.len) + text_bytes(help.len);
        if (self.unit.len > 0) size += text_bytes(self.unit.len);
        const out = &self.scratch.metadata;
        try put_length(out, 0x1a, size);
        if (kind != .unknown) try out.appendSlice(gpa, &.{ 0x08, @backingInt(kind) });
        try put_text(out, 0x12, self.family);
        try put_text(out, 0x22, help);
        if (self.unit.len > 0) try put_text(out, 0x2a, self.unit);
    }

    fn help_text(self: *Scrape, text: []const u8) Failure![]const u8 {
        if (self.options.format == protobuf or std.mem.indexOfScalar(u8, text, '\\') == null) return text;
        return self.unescaped(text);
    }

    // --- series

    fn series(self: *Scrape, first: Token) Failure!void {
        const lexer = &self.lexer;
        self.scratch.labels.clearRetainingCapacity();
        self.has_name = false;
        var token = first;
        if (first == .metric_name) {
            self.has_name = true;
            self.name = lexer.buffer();
            self.entry_start = lexer.start;
            var end = lexer.at;
            token = lexer.next();
            if (token == .brace_open) {
                try self.labels();
                end = lexer.at;
                token = lexer.next();
            }
            return self.sample(self.body[self.entry_start..end], token);
        }
        self.entry_start = lexer.start;
        try self.labels();
        const end = lexer.at;
        token = lexer.next();
        if (!self.has_name) return self.refuse(.no_name);
        return self.sample(self.body[self.entry_start..end], token);
    }

    /// Labels up to the closing brace: they go to scratch.labels as they stand there.
    fn labels(self: *Scrape) Failure!void {
        var token = self.lexer.next();
        while (token != .brace_close) {
            if (token != .label_name and token != .quoted) return self.expected(.label_name, token);
            const text = self.lexer.buffer();
            const is_quoted = token == .quoted;
            token = self.lexer.next();
            if (token == .comma or token == .brace_close) {
                if (!is_quoted) return self.expected(.equal, token);
                if (self.has_name) return self.refuse(.name_twice);
                self.has_name = true;
                self.name = text[1 .. text.len - 1];
                if (token == .comma) token = self.lexer.next();
                continue;
            }
            const name = if (is_quoted) text[1 .. text.len - 1] else text;
            try self.label(name, token);
            token = try self.behind_label();
        }
    }

    /// One label, from the sign behind its name on.
    fn label(self: *Scrape, name: []const u8, sign: Token) Failure!void {
        if (sign != .equal) return self.expected(.equal, sign);
        const token = self.lexer.next();
        if (token != .label_value) return self.expected(.label_value, token);
        const value = self.lexer.buffer();
        if (!std.unicode.utf8ValidateSlice(value)) return self.refuse_about(.value_utf8, value);
        if (self.scratch.labels.items.len == labels_max) return self.refuse(.too_many_labels);
        try self.scratch.labels.append(gpa, .{ .name = name, .value = value[1 .. value.len - 1] });
    }

    fn behind_label(self: *Scrape) Failure!Token {
        const token = self.lexer.next();
        if (token == .comma) return self.lexer.next();
        if (self.lexer.is_open and token != .brace_close) return self.expected(.comma_or_brace, token);
        return token;
    }

    /// From the value on.
    fn sample(self: *Scrape, text: []const u8, token: Token) Failure!void {
        const count = self.scratch.labels.items.len;
        const value = try self.value_of(token, .value_after_metric);
        var exemplar: ?Exemplar = null;
        var time_ms: ?i64 = null;
        var behind = self.lexer.next();
        if (behind == .timestamp) {
            time_ms = if (self.lexer.is_open)
                try self.seconds_of(.timestamp_not_finite)
            else
                std.fmt.parseInt(i64, self.lexer.buffer(), 10) catch
                    return self.refuse_about(.timestamp_range, self.lexer.buffer());
            behind = self.lexer.next();
            if (behind != .linebreak and (behind != .comment or !self.lexer.is_open))
                return self.expected(.entry_after_timestamp, behind);
        }
        if (behind == .comment and self.lexer.is_open) {
            exemplar = try self.exemplar_of(count);
        } else if (behind == .eof and self.lexer.is_open) {
            return self.refuse(.no_eof);
        } else if (behind != .linebreak) return self.expected(.timestamp_or_record, behind);
        if (self.takes_parts()) {
            const part = try self.part_of(text);
            if (try self.take_part(part, value, time_ms)) {
                if (exemplar) |one| try self.keep_exemplar(one);
                exemplar = null;
                if (!self.options.classic_histograms) return;
            }
        }
        const slot = try self.slot_of(text) orelse return;
        const number = slot.value;
        try self.found(slot, value, time_ms);
        if (exemplar) |one| try self.put_exemplar(number, one, time_ms);
    }

    // --- classic histograms that become native ones with custom buckets

    fn takes_parts(self: *const Scrape) bool {
        return self.options.custom_buckets and self.kind == .histogram;
    }

    fn known_part(self: *Scrape, key: u64) ?Part {
        const slot = self.target.parts.get(key) orelse return null;
        const part = self.target.part_list.items[slot.value];
        if (part.family != self.type_key) return null;
        if (slot.seen != self.target.scrape) self.target.parts_seen += 1;
        slot.seen = self.target.scrape;
        return part;
    }

    /// What a line is to its histogram. Its labels are in scratch.labels.
    fn part_of(self: *Scrape, text: []const u8) Failure!Part {
        const key = self.target.key(text);
        if (self.known_part(key)) |part| return part;
        if (self.target.part_list.items.len >= series_max) return self.refuse(.too_many_series);
        const arena = self.scratch.arena.allocator();
        defer _ = self.scratch.arena.reset(.{ .retain_with_limit = 1 << 20 });
        const name = try self.unescaped(self.name);
        var part = Part{ .family = self.type_key, .group = 0 };
        const base = base_of(name, &part.role);
        var bound_text: ?[]const u8 = null;
        var labels_found: std.ArrayList(Label) = .empty;
        try labels_found.append(arena, .{ .name = "__name__", .value = base });
        for (self.scratch.labels.items) |one| {
            const label_name = try self.unescaped(one.name);
            const label_value = try self.unescaped(one.value);
            if (std.mem.eql(u8, label_name, "le")) {
                bound_text = label_value;
            } else try labels_found.append(arena, .{ .name = label_name, .value = label_value });
        }
        std.mem.sortUnstable(Label, labels_found.items, {}, Label.before);
        part.group = try self.group_of(labels_found.items);
        if (self.target.key(base) != self.type_key) part.role = .none;
        if (part.role == .bucket) {
            part.bound = if (bound_text) |one| number_of(one) orelse std.math.nan(f64) else std.math.nan(f64);
            if (std.math.isNan(part.bound)) part.role = .none;
        }
        const number: u32 = @intCast(self.target.part_list.items.len);
        try self.target.part_list.append(gpa, part);
        (try self.target.parts.put(key, number)).seen = self.target.scrape;
        self.target.parts_seen += 1;
        return part;
    }

    fn group_of(self: *Scrape, sorted: []const Label) Failure!u32 {
        const target = self.target;
        const head = &self.scratch.head;
        head.clearRetainingCapacity();
        for (sorted) |one| {
            try put_length(head, 0x0a, text_bytes(one.name.len) + text_bytes(one.value.len));
            try put_text(head, 0x0a, one.name);
            try put_text(head, 0x12, one.value);
        }
        // No line begins with this byte.
        try head.append(gpa, 0xff);
        const key = target.key(head.items);
        if (target.groups.get(key)) |slot| return slot.value;
        const size = head.items.len - 1;
        if (target.group_heads.items.len + size > std.math.maxInt(u32)) return error.OutOfMemory;
        const number: u32 = @intCast(target.group_list.items.len);
        try target.group_list.append(gpa, .{
            .key = key,
            .head_start = @intCast(target.group_heads.items.len),
            .head_bytes = @intCast(size),
        });
        try target.group_heads.appendSlice(gpa, head.items[0..size]);
        _ = try target.groups.put(key, number);
        return number;
    }

    /// Returns whether it is one of a histogram. What came before of another one is then whole.
    fn take_part(self: *Scrape, part: Part, value: f64, time_ms: ?i64) Failure!bool {
        if (self.group) |group| if (group != part.group) try self.end_group();
        if (part.role == .none) return false;
        if (self.group == null) {
            self.group = part.group;
            self.scratch.classic.clear();
            self.scratch.exemplars.clearRetainingCapacity();
            self.scratch.exemplar_bytes.clearRetainingCapacity();
        }
        self.group_ms = time_ms;
        switch (part.role) {
            .bucket => try self.scratch.classic.set_bucket(part.bound, value),
            .count => self.scratch.classic.set_count(value),
            else => self.scratch.classic.set_sum(value),
        }
        return true;
    }

    fn keep_exemplar(self: *Scrape, exemplar: Exemplar) Failure!void {
        if (exemplar.time_ms == null) return;
        // Where its labels are is known when all are there.
        const bytes = &self.scratch.exemplar_bytes;
        var kept = exemplar;
        kept.start = bytes.items.len;
        try bytes.appendSlice(gpa, exemplar.labels);
        kept.end = bytes.items.len;
        kept.labels = "";
        try self.scratch.exemplars.append(gpa, kept);
    }

    /// Write the histogram whose parts have come. Parts that are none together are left out.
    fn end_group(self: *Scrape) Failure!void {
        const group = self.target.group_list.items[self.group orelse return];
        self.group = null;
        self.scratch.classic.convert(&self.scratch.histogram, false) catch |failure| switch (failure) {
            error.Refused => return,
            error.OutOfMemory => return failure,
        };
        const slot = try self.slot_of_group(group) orelse return;
        const number = slot.value;
        try self.put_histogram(slot, self.group_ms);
        for (self.scratch.exemplars.items) |kept| {
            var exemplar = kept;
            exemplar.labels = self.scratch.exemplar_bytes.items[kept.start..kept.end];
            try self.put_histogram_exemplar(number, exemplar);
        }
    }

    fn slot_of_group(self: *Scrape, group: Group) Failure!?*Index.Slot {
        if (self.target.names.get(group.key)) |slot| return slot;
        const arena = self.scratch.arena.allocator();
        defer _ = self.scratch.arena.reset(.{ .retain_with_limit = 1 << 20 });
        var found_labels: std.ArrayList(Label) = .empty;
        var wire = Wire{ .bytes = self.target.group_heads.items[group.head_start..][0..group.head_bytes] };
        while (try wire.next()) |field| try found_labels.append(arena, try label_pair(field));
        return self.new(group.key, found_labels.items);
    }

    fn value_of(self: *Scrape, token: Token, what: Expected) Failure!f64 {
        if (token != .value) return self.expected(what, token);
        return self.float(self.token_text());
    }

    fn token_text(self: *const Scrape) []const u8 {
        const text = self.lexer.buffer();
        return if (self.lexer.is_open) text[1..] else text;
    }

    fn float(self: *Scrape, text: []const u8) Failure!f64 {
        if (number_of(text)) |value| return value;
        return self.refuse_about(if (is_number(text)) .float_range else .float_syntax, text);
    }

    fn seconds_of(self: *Scrape, refusal: Refusal) Failure!i64 {
        const text = self.token_text();
        const seconds = try self.float(text);
        if (!std.math.isFinite(seconds)) return self.refuse_about(refusal, text);
        const time_ms = @trunc(seconds * 1000);
        if (@abs(time_ms) > 9.2e18) return self.refuse_about(refusal, text);
        return @intFromFloat(time_ms);
    }

    /// Behind ` # {`. The labels of the series are before `count` in scratch.labels, and stay there.
    fn exemplar_of(self: *Scrape, count: usize) Failure!Exemplar {
        var token = self.lexer.next();
        while (token != .brace_close) {
            if (token != .label_name and token != .quoted) return self.expected(.label_name, token);
            const text = self.lexer.buffer();
            const name = if (token == .quoted) text[1 .. text.len - 1] else text;
            try self.label(name, self.lexer.next());
            token = try self.behind_label();
        }
        var exemplar = Exemplar{};
        exemplar.value = try self.value_of(self.lexer.next(), .value_after_exemplar);
        const behind = self.lexer.next();
        if (behind == .timestamp) {
            exemplar.time_ms = try self.seconds_of(.exemplar_timestamp_not_finite);
            const last = self.lexer.next();
            if (last != .linebreak) return self.expected(.entry_after_exemplar_timestamp, last);
        } else if (behind == .eof) {
            return self.refuse(.no_eof);
        } else if (behind != .linebreak) return self.expected(.timestamp_or_comment, behind);
        try self.exemplar_labels(&exemplar, self.scratch.labels.items[count..]);
        self.scratch.labels.shrinkRetainingCapacity(count);
        return exemplar;
    }

    fn exemplar_labels(self: *Scrape, exemplar: *Exemplar, found_labels: []const Label) Failure!void {
        const bytes = &self.scratch.exemplar;
        bytes.clearRetainingCapacity();
        for (found_labels) |one| {
            const name = try self.unescaped(one.name);
            const value = try self.unescaped(one.value);
            if (!std.unicode.utf8ValidateSlice(name)) return self.refuse_about(.value_utf8, one.name);
            exemplar.runes += (std.unicode.utf8CountCodepoints(name) catch 0) +
                (std.unicode.utf8CountCodepoints(value) catch 0);
            try put_length(bytes, 0x0a, text_bytes(name.len) + text_bytes(value.len));
            try put_text(bytes, 0x0a, name);
            try put_text(bytes, 0x12, value);
        }
        exemplar.labels = bytes.items;
    }

    /// The series that is called so, which may be new: its labels are in scratch.labels. Null where
    /// the caller has to relabel them.
    fn slot_of(self: *Scrape, text: []const u8) Failure!?*Index.Slot {
        const key = self.target.key(text);
        if (self.target.names.get(key)) |slot| return slot;
        try self.end_family();
        const arena = self.scratch.arena.allocator();
        defer _ = self.scratch.arena.reset(.{ .retain_with_limit = 1 << 20 });
        const all = try arena.alloc(Label, self.scratch.labels.items.len + 1);
        const name = try std.mem.concat(arena, u8, &.{ try self.unescaped(self.name), self.suffix });
        all[0] = .{ .name = "__name__", .value = name };
        for (self.scratch.labels.items, all[1..]) |one, *to| {
            const label_name = try self.unescaped(one.name);
            to.* = .{ .name = label_name, .value = try self.normal(label_name, try self.unescaped(one.value)) };
        }
        return self.new(key, all);
    }

    /// Remember a name and its labels, `found_labels`, which are sorted. Null where the caller has to
    /// relabel them.
    fn new(self: *Scrape, key: u64, found_labels: []Label) Failure!?*Index.Slot {
        // One that is refused has come too.
        errdefer self.result.scraped += 1;
        if (self.target.names.count >= series_max) return self.refuse(.too_many_series);
        const merged = try self.with_target(found_labels);
        std.mem.sortUnstable(Label, merged, {}, Label.before);
        try self.check_unique(merged);
        if (!self.options.relabels) try self.check(merged);
        const head = &self.scratch.head;
        head.clearRetainingCapacity();
        for (merged) |one| {
            if (one.value.len == 0) continue;
            try put_length(head, 0x0a, text_bytes(one.name.len) + text_bytes(one.value.len));
            try put_text(head, 0x0a, one.name);
            try put_text(head, 0x12, one.value);
        }
        if (!self.options.relabels) return try self.target.names.put(key, try self.target.number_of_labels(head.items));
        const start = self.scratch.heads.items.len;
        try self.scratch.heads.appendSlice(gpa, head.items);
        try self.scratch.unknown.append(gpa, .{
            .key = key,
            .head_start = start,
            .head_end = self.scratch.heads.items.len,
        });
        return null;
    }

    /// With the labels of the target; labels that the target has too are called exported_ or kept.
    fn with_target(self: *Scrape, exposed: []const Label) Failure![]Label {
        const arena = self.scratch.arena.allocator();
        var merged: std.ArrayList(Label) = .empty;
        try merged.ensureTotalCapacity(arena, exposed.len + self.target.labels.len);
        var clashing: std.ArrayList(Label) = .empty;
        for (exposed) |one| {
            const is_ours = of_name(self.target.labels, one.name) != null;
            if (!is_ours or self.options.honor_labels) {
                merged.appendAssumeCapacity(one);
            } else if (one.value.len > 0) try clashing.append(arena, one);
        }
        for (self.target.labels) |one| {
            if (self.options.honor_labels and of_name(exposed, one.name) != null) continue;
            merged.appendAssumeCapacity(one);
        }
        std.mem.sort(Label, clashing.items, {}, shorter);
        for (clashing.items) |one| {
            var name: []const u8 = one.name;
            while (true) {
                name = try std.mem.concat(arena, u8, &.{ "exported_", name });
                const taken = of_name(merged.items, name);
                if (taken == null or taken.?.value.len == 0) break;
            }
            try merged.append(arena, .{ .name = name, .value = one.value });
        }
        return merged.items;
    }

    fn check_unique(self: *Scrape, sorted: []const Label) Failure!void {
        var before: ?[]const u8 = null;
        for (sorted) |one| {
            if (one.value.len == 0) continue;
            if (before) |name| if (std.mem.eql(u8, name, one.name)) return self.refuse_label(.label_twice, one, 0);
            before = one.name;
        }
    }

    /// Names and limits.
    fn check(self: *Scrape, sorted: []const Label) Failure!void {
        var count: u64 = 0;
        var has_name = false;
        for (sorted) |one| {
            if (one.value.len == 0) continue;
            count += 1;
            const is_metric = std.mem.eql(u8, one.name, "__name__");
            has_name = has_name or is_metric;
            const is_valid = if (is_metric)
                is_name(one.value, self.options.legacy_names, true)
            else
                is_name(one.name, self.options.legacy_names, false);
            if (!is_valid) return self.refuse(.names);
        }
        if (!has_name) return self.refuse(.no_metric_name);
        const options = self.options;
        if (options.label_limit > 0 and count > options.label_limit) return self.refuse_label(.label_limit, sorted[0], count);
        for (sorted) |one| {
            if (one.value.len == 0) continue;
            if (options.label_name_bytes_max > 0 and one.name.len > options.label_name_bytes_max)
                return self.refuse_label(.label_name_length, one, one.name.len);
            if (options.label_value_bytes_max > 0 and one.value.len > options.label_value_bytes_max)
                return self.refuse_label(.label_value_length, one, one.value.len);
        }
    }

    /// Count a sample, and write it if it is the first of its series.
    fn found(self: *Scrape, slot: *Index.Slot, value: f64, stated_ms: ?i64) Failure!void {
        const time_ms = if (self.options.honor_timestamps) stated_ms else null;
        const number = try self.seen(slot, time_ms) orelse return;
        self.target.series.items[number].is_histogram = false;
        const one = self.target.head(number);
        const stamp: u64 = @bitCast(time_ms orelse self.options.default_ms);
        const bits: u64 = if (std.math.isNan(value)) normal_nan else @bitCast(value);
        if (self.scratch.out.items.len > self.options.written_bytes_max) return self.refuse(.too_much);
        try put_sample(&self.scratch.out, one, bits, stamp);
    }

    /// Note that a series is there. Its number, if what came is to be written.
    fn seen(self: *Scrape, slot: *Index.Slot, time_ms: ?i64) Failure!?u32 {
        const scrape = self.target.scrape;
        self.result.scraped += 1;
        const is_new = slot.seen == 0 or slot.seen < self.target.good;
        slot.seen = scrape;
        if (slot.value == dropped) return null;
        const one = &self.target.series.items[slot.value];
        const is_second = one.seen == scrape;
        one.seen = scrape;
        self.result.kept += 1;
        if (time_ms == null or self.options.track_timestamps) one.tracked = scrape;
        if (is_second and time_ms == null) {
            self.result.duplicates += 1;
            if (is_new and !self.is_over_limit and !self.is_over_buckets) self.result.added += 1;
            return null;
        }
        if (time_ms) |at| if (at > self.options.latest_ms) {
            self.result.out_of_bounds += 1;
            return null;
        };
        self.appended += 1;
        if (self.options.sample_limit > 0 and self.appended > self.options.sample_limit) {
            self.is_over_limit = true;
            return null;
        }
        if (is_new and !self.is_over_buckets) self.result.added += 1;
        return slot.value;
    }

    /// That of scratch.histogram, made as coarse as it has to be.
    fn put_histogram(self: *Scrape, slot: *Index.Slot, stated_ms: ?i64) Failure!void {
        const time_ms = if (self.options.honor_timestamps) stated_ms else null;
        const number = slot.value;
        const one = &self.scratch.histogram;
        const fits = try one.fit(self.options.schema_max, self.options.bucket_limit);
        one.check() catch {
            self.result.scraped += 1;
            return self.refuse(.bad_histogram);
        };
        self.is_over_buckets = self.is_over_buckets or !fits;
        const writes = try self.seen(slot, time_ms) != null;
        if (!writes or !fits) return;
        if (self.scratch.out.items.len > self.options.written_bytes_max) return self.refuse(.too_much);
        const content = &self.scratch.histogram_bytes;
        content.clearRetainingCapacity();
        try one.put(content, @bitCast(time_ms orelse self.options.default_ms));
        self.target.series.items[number].is_histogram = true;
        const head = self.target.head(number);
        const out = &self.scratch.out;
        try put_length(out, 0x0a, head.len + text_bytes(content.items.len));
        try out.appendSlice(gpa, head);
        try put_text(out, 0x22, content.items);
    }

    /// A histogram shows each for many scrapes: those that are not newer than before are known.
    fn put_histogram_exemplar(self: *Scrape, number: u32, exemplar: Exemplar) Failure!void {
        const time_ms = exemplar.time_ms orelse return;
        if (number == dropped or exemplar.runes > exemplar_runes_max) return;
        const one = &self.target.series.items[number];
        if (one.exemplar_scrape != self.target.scrape) {
            one.exemplar_scrape = self.target.scrape;
            one.exemplar = @bitCast(one.exemplar_ms);
        }
        if (time_ms <= @as(i64, @bitCast(one.exemplar))) return;
        one.exemplar_ms = @max(one.exemplar_ms, time_ms);
        const bits: u64 = if (std.math.isNan(exemplar.value)) normal_nan else @bitCast(exemplar.value);
        try self.write_exemplar(number, exemplar.labels, bits, @bitCast(time_ms));
    }

    /// As a TimeSeries of its own, so that the one with the sample stays plain; not twice.
    fn put_exemplar(self: *Scrape, number: u32, exemplar: Exemplar, stated_ms: ?i64) Failure!void {
        if (number == dropped or exemplar.runes > exemplar_runes_max) return;
        const own_ms = if (self.options.honor_timestamps) stated_ms else null;
        const stamp: u64 = @bitCast(exemplar.time_ms orelse own_ms orelse self.options.default_ms);
        const bits: u64 = if (std.math.isNan(exemplar.value)) normal_nan else @bitCast(exemplar.value);
        var hasher = std.hash.Wyhash.init(self.target.seed);
        hasher.update(exemplar.labels);
        hasher.update(std.mem.asBytes(&bits));
        if (exemplar.time_ms != null) hasher.update(std.mem.asBytes(&stamp));
        const hash = @max(1, hasher.final());
        const one = &self.target.series.items[number];
        if (one.exemplar == hash and one.exemplar_scrape != self.target.scrape) return;
        one.exemplar = hash;
        one.exemplar_scrape = self.target.scrape;
        try self.write_exemplar(number, exemplar.labels, bits, stamp);
    }

    fn write_exemplar(self: *Scrape, number: u32, found_labels: []const u8, bits: u64, stamp: u64) Failure!void {
        const out = &self.scratch.out;
        if (out.items.len > self.options.written_bytes_max) return self.refuse(.too_much);
        const head = self.target.head(number);
        const size = found_labels.len + 9 + 1 + varint_bytes(stamp);
        try put_length(out, 0x0a, head.len + text_bytes(size));
        try out.appendSlice(gpa, head);
        try put_length(out, 0x1a, size);
        try out.appendSlice(gpa, found_labels);
        try out.append(gpa, 0x11);
        try out.appendSlice(gpa, std.mem.asBytes(&bits));
        try out.append(gpa, 0x18);
        try put_varint(out, stamp);
    }

    // --- texts

    /// With \\, \" and \n as what they stand for; other backslashes stay.
    fn unescaped(self: *Scrape, text: []const u8) Failure![]const u8 {
        if (self.options.format == protobuf or std.mem.indexOfScalar(u8, text, '\\') == null) return text;
        const to = try self.scratch.arena.allocator().alloc(u8, text.len);
        var size: usize = 0;
        var at: usize = 0;
        while (at < text.len) : (at += 1) {
            to[size] = text[at];
            if (text[at] == '\\' and at + 1 < text.len) {
                const escaped: ?u8 = switch (text[at + 1]) {
                    '\\' => '\\',
                    '"' => '"',
                    'n' => '\n',
                    else => null,
                };
                if (escaped) |byte| {
                    to[size] = byte;
                    at += 1;
                }
            }
            size += 1;
        }
        return to[0..size];
    }

    /// `le` and `quantile` as floats are written: 1 is 1.0.
    fn normal(self: *Scrape, name: []const u8, value: []const u8) Failure![]const u8 {
        const is_bound = switch (self.kind) {
            .summary => std.mem.eql(u8, name, "quantile"),
            .histogram, .gauge_histogram => std.mem.eql(u8, name, "le"),
            else => false,
        };
        if (!is_bound) return value;
        const number = number_of(value) orelse return value;
        const room = try self.scratch.arena.allocator().alloc(u8, 40);
        return float_text(room, number);
    }

    // --- refusals

    fn refuse(self: *Scrape, refusal: Refusal) error{Refused} {
        self.result.failure = @backingInt(refusal);
        self.result.entry_start = self.entry_start;
        self.result.entry_end = @min(self.lexer.at, self.body.len);
        return error.Refused;
    }

    fn refuse_about(self: *Scrape, refusal: Refusal, text: []const u8) error{Refused} {
        const start = @intFromPtr(text.ptr) -% @intFromPtr(self.body.ptr);
        if (start <= self.body.len and text.len <= self.body.len - start) {
            self.result.about_start = start;
            self.result.about_end = start + text.len;
        }
        return self.refuse(refusal);
    }

    fn refuse_label(self: *Scrape, refusal: Refusal, one: Label, number: u64) error{Refused} {
        self.result.number = number;
        self.scratch.heads.clearRetainingCapacity();
        self.scratch.heads.appendSlice(gpa, one.name) catch {};
        self.result.about_start = self.scratch.heads.items.len;
        self.scratch.heads.appendSlice(gpa, one.value) catch {};
        return self.refuse(refusal);
    }

    fn expected(self: *Scrape, what: Expected, token: Token) error{Refused} {
        self.result.token = @backingInt(token);
        self.result.number = @backingInt(what);
        self.result.token_start = self.lexer.start;
        self.result.token_end = @min(self.lexer.at + 1, self.body.len);
        const failure = self.refuse(.expected);
        self.result.entry_end = self.result.token_end;
        return failure;
    }

    // --- protobuf: io.prometheus.client.MetricFamily, each behind its length

    fn families_of_body(self: *Scrape) Failure!void {
        var wire = Wire{ .bytes = self.body };
        while (wire.at < self.body.len) {
            self.entry_start = wire.at;
            try self.metric_family(try wire.take(try wire.varint()));
        }
        try self.check_limits();
    }

    fn metric_family(self: *Scrape, message: []const u8) Failure!void {
        var kind: u64 = 0;
        var wire = Wire{ .bytes = message };
        var name: []const u8 = "";
        while (try wire.next()) |field| switch (field.number) {
            1 => name = field.content,
            2 => self.help = field.content,
            3 => kind = field.value,
            5 => self.unit = field.content,
            else => {},
        };
        const kinds = [_]Kind{ .counter, .gauge, .summary, .unknown, .histogram, .gauge_histogram };
        if (kind >= kinds.len) return self.refuse(.protobuf);
        if (!std.unicode.utf8ValidateSlice(self.help)) return self.refuse(.protobuf);
        self.family = name;
        self.family_kind = kinds[@intCast(kind)];
        try self.end_family();
        self.name = name;
        self.kind = kinds[@intCast(kind)];
        wire.at = 0;
        while (try wire.next()) |field| {
            if (field.number == 4 and field.wire == 2) try self.metric(field.content);
        }
    }

    fn metric(self: *Scrape, message: []const u8) Failure!void {
        self.scratch.labels.clearRetainingCapacity();
        var wire = Wire{ .bytes = message };
        var time_ms: ?i64 = null;
        var value: ?Field = null;
        while (try wire.next()) |field| switch (field.number) {
            1 => {
                if (self.scratch.labels.items.len == labels_max) return self.refuse(.too_many_labels);
                try self.scratch.labels.append(gpa, try label_pair(field));
            },
            2, 3, 4, 5, 7 => if (field.wire == 2 and field.number == self.value_field()) {
                value = field;
            },
            6 => if (field.value != 0) {
                time_ms = @bitCast(field.value);
            },
            else => {},
        };
        const found_value = if (value) |one| one.content else return self.refuse(.protobuf);
        switch (self.kind) {
            .summary => try self.summary(found_value, time_ms),
            .histogram, .gauge_histogram => try self.histogram(found_value, time_ms),
            else => try self.simple(found_value, time_ms),
        }
    }

    fn value_field(self: *const Scrape) u64 {
        return switch (self.kind) {
            .gauge => 2,
            .counter => 3,
            .summary => 4,
            .histogram, .gauge_histogram => 7,
            else => 5,
        };
    }

    fn label_pair(field: Field) Failure!Label {
        var label_found = Label{ .name = "", .value = "" };
        var wire = Wire{ .bytes = field.content };
        while (try wire.next()) |part| switch (part.number) {
            1 => label_found.name = part.content,
            2 => label_found.value = part.content,
            else => {},
        };
        if (!std.unicode.utf8ValidateSlice(label_found.value)) return error.Refused;
        return label_found;
    }

    fn simple(self: *Scrape, message: []const u8, time_ms: ?i64) Failure!void {
        var value: f64 = 0;
        var exemplar: ?Exemplar = null;
        var wire = Wire{ .bytes = message };
        while (try wire.next()) |field| switch (field.number) {
            1 => value = field.double(),
            2 => if (self.kind == .counter) {
                exemplar = try self.exemplar_message(field.content);
            },
            else => {},
        };
        try self.point("", null, 0, value, time_ms, exemplar);
    }

    fn summary(self: *Scrape, message: []const u8, time_ms: ?i64) Failure!void {
        var wire = Wire{ .bytes = message };
        var count: f64 = 0;
        var sum: f64 = 0;
        while (try wire.next()) |field| switch (field.number) {
            1 => count = @floatFromInt(field.value),
            2 => sum = field.double(),
            3 => {
                var part = Wire{ .bytes = field.content };
                var quantile: f64 = 0;
                var value: f64 = 0;
                while (try part.next()) |one| switch (one.number) {
                    1 => quantile = one.double(),
                    2 => value = one.double(),
                    else => {},
                };
                try self.point("", "quantile", quantile, value, time_ms, null);
            },
            else => {},
        };
        try self.point("_count", null, 0, count, time_ms, null);
        try self.point("_sum", null, 0, sum, time_ms, null);
    }

    fn histogram(self: *Scrape, message: []const u8, time_ms: ?i64) Failure!void {
        const is_gauge = self.kind == .gauge_histogram;
        const outline = try Outline.of(message);
        if (self.options.native_histograms and outline.is_native) {
            self.scratch.histogram.read(message, is_gauge) catch |failure| switch (failure) {
                error.Refused => return self.refuse(.bad_histogram),
                error.OutOfMemory => return failure,
            };
            try self.native(message, outline, time_ms);
            if (self.options.classic_histograms and outline.has_buckets) try self.classic(message, time_ms);
            return;
        }
        if (!self.options.custom_buckets or self.options.classic_histograms) try self.classic(message, time_ms);
        if (!self.options.custom_buckets) return;
        try self.collect(message);
        self.scratch.classic.convert(&self.scratch.histogram, is_gauge) catch |failure| switch (failure) {
            error.Refused => return self.refuse(.bad_classic),
            error.OutOfMemory => return failure,
        };
        try self.native(message, outline, time_ms);
    }

    /// What a histogram has, as far as it decides how it is read.
    const Outline = struct {
        is_native: bool = false,
        has_buckets: bool = false,
        has_exemplars: bool = false,

        fn of(message: []const u8) Failure!Outline {
            var outline = Outline{};
            var wire = Wire{ .bytes = message };
            while (try wire.next()) |field| switch (field.number) {
                3 => outline.has_buckets = true,
                6 => outline.is_native = outline.is_native or field.double() > 0,
                7 => outline.is_native = outline.is_native or field.value > 0,
                9, 12 => outline.is_native = true,
                16 => outline.has_exemplars = true,
                else => {},
            };
            return outline;
        }
    };

    /// The classic buckets of a message, for custom ones.
    fn collect(self: *Scrape, message: []const u8) Failure!void {
        const into = &self.scratch.classic;
        into.clear();
        var wire = Wire{ .bytes = message };
        var count: u64 = 0;
        var count_float: f64 = 0;
        while (try wire.next()) |field| switch (field.number) {
            1 => count = field.value,
            2 => into.set_sum(field.double()),
            3 => {
                const bucket_found = try bucket_of(field.content);
                try into.set_bucket(bucket_found.bound, bucket_found.count);
            },
            4 => count_float = field.double(),
            else => {},
        };
        into.set_count(if (count_float != 0) count_float else @floatFromInt(count));
    }

    fn classic(self: *Scrape, message: []const u8, time_ms: ?i64) Failure!void {
        var wire = Wire{ .bytes = message };
        var count: f64 = 0;
        var sum: f64 = 0;
        var has_infinity = false;
        var buckets: usize = 0;
        while (try wire.next()) |field| switch (field.number) {
            1 => if (count == 0) {
                count = @floatFromInt(field.value);
            },
            2 => sum = field.double(),
            3 => {
                const bound = try self.bucket(field.content, time_ms);
                has_infinity = has_infinity or bound == std.math.inf(f64);
                buckets += 1;
            },
            4 => if (field.double() > 0) {
                count = field.double();
            },
            else => {},
        };
        if (!has_infinity) try self.point("_bucket", "le", std.math.inf(f64), count, time_ms, null);
        try self.point("_count", null, 0, count, time_ms, null);
        try self.point("_sum", null, 0, sum, time_ms, null);
    }

    const Bucket = struct { bound: f64 = 0, count: f64 = 0, exemplar: []const u8 = "", has_exemplar: bool = false };

    fn bucket_of(message: []const u8) Failure!Bucket {
        var found_bucket = Bucket{};
        var wire = Wire{ .bytes = message };
        while (try wire.next()) |field| switch (field.number) {
            1 => if (found_bucket.count == 0) {
                found_bucket.count = @floatFromInt(field.value);
            },
            2 => found_bucket.bound = field.double(),
            3 => {
                found_bucket.exemplar = field.content;
                found_bucket.has_exemplar = true;
            },
            4 => if (field.double() > 0) {
                found_bucket.count = field.double();
            },
            else => {},
        };
        return found_bucket;
    }

    /// One bucket. Returns its upper bound.
    fn bucket(self: *Scrape, message: []const u8, time_ms: ?i64) Failure!f64 {
        const one = try bucket_of(message);
        const exemplar = if (one.has_exemplar) try self.exemplar_message(one.exemplar) else null;
        try self.point("_bucket", "le", one.bound, one.count, time_ms, exemplar);
        return one.bound;
    }

    /// The histogram in scratch.histogram, with the exemplars of the message that it is made of.
    fn native(self: *Scrape, message: []const u8, outline: Outline, time_ms: ?i64) Failure!void {
        const slot = try self.slot_of(try self.called("", 0, 'h')) orelse return;
        const number = slot.value;
        try self.put_histogram(slot, time_ms);
        const wanted: u64 = if (outline.has_exemplars) 16 else 3;
        var wire = Wire{ .bytes = message };
        while (try wire.next()) |field| if (field.number == wanted) {
            const content = if (wanted == 16) field.content else (try bucket_of(field.content)).exemplar;
            if (content.len > 0) try self.put_histogram_exemplar(number, try self.exemplar_message(content));
        };
    }

    fn exemplar_message(self: *Scrape, message: []const u8) Failure!Exemplar {
        var exemplar = Exemplar{};
        const bytes = &self.scratch.exemplar;
        bytes.clearRetainingCapacity();
        var wire = Wire{ .bytes = message };
        while (try wire.next()) |field| switch (field.number) {
            1 => {
                const one = try label_pair(field);
                exemplar.runes += std.unicode.utf8CountCodepoints(one.name) catch return error.Refused;
                exemplar.runes += std.unicode.utf8CountCodepoints(one.value) catch return error.Refused;
                try put_length(bytes, 0x0a, text_bytes(one.name.len) + text_bytes(one.value.len));
                try put_text(bytes, 0x0a, one.name);
                try put_text(bytes, 0x12, one.value);
            },
            2 => exemplar.value = field.double(),
            3 => exemplar.time_ms = try moment(field.content),
            else => {},
        };
        exemplar.labels = bytes.items;
        return exemplar;
    }

    /// A google.protobuf.Timestamp in ms.
    fn moment(message: []const u8) Failure!i64 {
        var wire = Wire{ .bytes = message };
        var seconds: i64 = 0;
        var nanos: i64 = 0;
        while (try wire.next()) |field| switch (field.number) {
            1 => seconds = @bitCast(field.value),
            2 => nanos = @bitCast(field.value),
            else => {},
        };
        if (@abs(seconds) > 1 << 40 or @abs(nanos) > 1 << 32) return error.Refused;
        return 1000 * seconds + @divFloor(nanos, 1_000_000);
    }

    /// One sample; `bound_name` is of a label more, whose value is `bound`.
    fn point(
        self: *Scrape,
        suffix: []const u8,
        bound_name: ?[]const u8,
        bound: f64,
        value: f64,
        time_ms: ?i64,
        exemplar: ?Exemplar,
    ) Failure!void {
        const count = self.scratch.labels.items.len;
        defer self.scratch.labels.shrinkRetainingCapacity(count);
        var room: [40]u8 = undefined;
        const text = try self.called(suffix, @bitCast(bound), if (bound_name == null) 's' else 'b');
        if (bound_name) |name| {
            try self.scratch.labels.append(gpa, .{ .name = name, .value = float_text(&room, bound) });
        }
        self.suffix = suffix;
        defer self.suffix = "";
        const slot = try self.slot_of(text) orelse return;
        const number = slot.value;
        try self.found(slot, value, time_ms);
        if (exemplar) |one| try self.put_exemplar(number, one, time_ms);
    }

    /// What names a series here: no two series of a target have the same.
    fn called(self: *Scrape, suffix: []const u8, bits: u64, sort: u8) Failure![]const u8 {
        const text = &self.scratch.text;
        text.clearRetainingCapacity();
        try text.appendSlice(gpa, &.{ 0xff, sort });
        try text.appendSlice(gpa, std.mem.asBytes(&bits));
        try text.appendSlice(gpa, self.name);
        try text.appendSlice(gpa, suffix);
        for (self.scratch.labels.items) |one| {
            try text.append(gpa, 0xff);
            try text.appendSlice(gpa, one.name);
            try text.append(gpa, 0xff);
            try text.appendSlice(gpa, one.value);
        }
        return text.items;
    }

    // --- staleness

    /// What was there after the last scrape and is not now ends.
    fn finish(self: *Scrape, has_failed: bool) Failure!void {
        const stamp: u64 = @bitCast(self.options.default_ms);
        const scrape = self.target.scrape;
        for (self.target.series.items, 0..) |*one, number| {
            const is_tracked = !has_failed and one.tracked == scrape;
            if (one.is_alive and !is_tracked) {
                const head = self.target.head(@intCast(number));
                if (one.is_histogram) try put_stale_histogram(&self.scratch.out, head, stamp) else try put_sample(&self.scratch.out, head, stale_nan, stamp);
            }
            one.is_alive = is_tracked;
        }
        const target = self.target;
        if (!has_failed) target.good = scrape;
        // One that fails for all that it remembers would else fail for ever.
        const is_full = target.names.count > series_max / 2 or target.part_list.items.len > series_max / 2;
        if (has_failed and !is_full) return;
        if (has_failed or target.names.count > self.result.scraped + self.result.scraped / 4 + 64)
            try target.forget();
        if (target.part_list.items.len > target.parts_seen + target.parts_seen / 4 + 64)
            target.forget_parts();
        if (target.families.count > self.result.scraped + 64) target.families.free();
    }
};

/// A name without what parts of histograms end with; `role` is what the end stands for.
fn base_of(name: []const u8, role: *Part.Role) []const u8 {
    const ends = [_]struct { []const u8, Part.Role }{ .{ "_bucket", .bucket }, .{ "_sum", .sum }, .{ "_count", .count } };
    for (ends) |pair| if (std.mem.endsWith(u8, name, pair[0])) {
        role.* = pair[1];
        return name[0 .. name.len - pair[0].len];
    };
    return name;
}

fn shorter(_: void, one: Label, other: Label) bool {
    return one.name.len < other.name.len;
}

fn of_name(labels: []const Label, name: []const u8) ?Label {
    for (labels) |one| if (std.mem.eql(u8, one.name, name)) return one;
    return null;
}

/// Where the braces close, from behind the opening one on.
fn labels_end(bytes: []const u8, from: usize) ?usize {
    var at = from;
    while (at < bytes.len) : (at += 1) switch (bytes[at]) {
        '}' => return at + 1,
        '"' => {
            at += 1;
            while (at < bytes.len and bytes[at] != '"') : (at += 1) {
                if (bytes[at] == '\\') at += 1;
            }
        },
        else => {},
    };
    return null;
}

fn kind_of(text: []const u8, is_open: bool) ?Kind {
    const plain = [_]struct { []const u8, Kind }{
        .{ "counter", .counter },     .{ "gauge", .gauge }, .{ "histogram", .histogram },
        .{ "summary", .summary },
    };
    for (plain) |pair| if (std.mem.eql(u8, text, pair[0])) return pair[1];
    if (!is_open) return if (std.mem.eql(u8, text, "untyped")) .unknown else null;
    const open = [_]struct { []const u8, Kind }{
        .{ "gaugehistogram", .gauge_histogram }, .{ "info", .info },
        .{ "stateset", .stateset },              .{ "unknown", .unknown },
    };
    for (open) |pair| if (std.mem.eql(u8, text, pair[0])) return pair[1];
    return null;
}

fn is_name(name: []const u8, is_legacy: bool, is_metric: bool) bool {
    if (name.len == 0) return false;
    if (!is_legacy) return std.unicode.utf8ValidateSlice(name);
    for (name, 0..) |byte, place| {
        const is_letter = std.ascii.isAlphabetic(byte) or byte == '_' or (is_metric and byte == ':');
        if (!is_letter and (place == 0 or !std.ascii.isDigit(byte))) return false;
    }
    return true;
}

/// Whether Go's ParseFloat reads it as a decimal number, if it is not too large.
fn is_number(text: []const u8) bool {
    var at: usize = 0;
    if (at < text.len and (text[at] == '+' or text[at] == '-')) at += 1;
    var digits: usize = 0;
    while (at < text.len and std.ascii.isDigit(text[at])) : (at += 1) digits += 1;
    if (at < text.len and text[at] == '.') {
        at += 1;
        while (at < text.len and std.ascii.isDigit(text[at])) : (at += 1) digits += 1;
    }
    if (digits == 0) return false;
    if (at == text.len) return true;
    if (text[at] != 'e' and text[at] != 'E') return false;
    at += 1;
    if (at < text.len and (text[at] == '+' or text[at] == '-')) at += 1;
    const first = at;
    while (at < text.len and std.ascii.isDigit(text[at])) at += 1;
    return at == text.len and at > first;
}

/// As Go's ParseFloat without hexadecimal numbers and underscores; null for what it refuses.
fn number_of(text: []const u8) ?f64 {
    if (text.len == 0 or text.len > 4096) return null;
    if (text.len < 16) {
        var whole: u64 = 0;
        for (text) |byte| {
            if (!std.ascii.isDigit(byte)) break;
            whole = 10 * whole + (byte - '0');
        } else return @floatFromInt(whole);
    }
    if (is_number(text)) {
        const value = std.fmt.parseFloat(f64, text) catch return null;
        return if (std.math.isInf(value)) null else value;
    }
    if (std.ascii.eqlIgnoreCase(text, "nan")) return std.math.nan(f64);
    const is_signed = text[0] == '+' or text[0] == '-';
    const word = if (is_signed) text[1..] else text;
    if (!std.ascii.eqlIgnoreCase(word, "inf") and !std.ascii.eqlIgnoreCase(word, "infinity")) return null;
    return if (text[0] == '-') -std.math.inf(f64) else std.math.inf(f64);
}

/// As OpenMetrics wants it: Go's shortest %g, with .0 where it would look like an integer.
fn float_text(room: []u8, value: f64) []const u8 {
    if (std.math.isNan(value)) return "NaN";
    if (std.math.isInf(value)) return if (value > 0) "+Inf" else "-Inf";
    if (value == 0) return if (std.math.signbit(value)) "-0.0" else "0.0";
    var buffer: [std.fmt.float.min_buffer_size]u8 = undefined;
    const text = std.fmt.float.render(&buffer, @abs(value), .{ .mode = .scientific }) catch return "NaN";
    const at = std.mem.indexOfScalar(u8, text, 'e') orelse return "NaN";
    const exponent = std.fmt.parseInt(i32, text[at + 1 ..], 10) catch return "NaN";
    var digits: [32]u8 = undefined;
    var count: usize = 0;
    for (text[0..at]) |byte| if (byte != '.' and count < digits.len) {
        digits[count] = byte;
        count += 1;
    };
    while (count > 1 and digits[count - 1] == '0') count -= 1;
    var out = std.ArrayList(u8).initBuffer(room);
    if (value < 0) out.appendAssumeCapacity('-');
    const places: usize = @intCast(@max(exponent + 1, 0));
    if (exponent < -4 or exponent >= 6) return long_text(&out, digits[0..count], exponent);
    if (exponent < 0) {
        out.appendSliceAssumeCapacity("0.");
        out.appendNTimesAssumeCapacity('0', @intCast(-exponent - 1));
        out.appendSliceAssumeCapacity(digits[0..count]);
        return out.items;
    }
    for (0..@max(places, count)) |place| {
        if (place == places) out.appendAssumeCapacity('.');
        out.appendAssumeCapacity(if (place < count) digits[place] else '0');
    }
    if (count <= places) out.appendSliceAssumeCapacity(".0");
    return out.items;
}

fn long_text(out: *Bytes, digits: []const u8, exponent: i32) []const u8 {
    out.appendAssumeCapacity(digits[0]);
    if (digits.len > 1) {
        out.appendAssumeCapacity('.');
        out.appendSliceAssumeCapacity(digits[1..]);
    }
    out.appendSliceAssumeCapacity(if (exponent < 0) "e-" else "e+");
    const size = @abs(exponent);
    if (size >= 100) out.appendAssumeCapacity(@intCast('0' + size / 100));
    out.appendAssumeCapacity(@intCast('0' + size / 10 % 10));
    out.appendAssumeCapacity(@intCast('0' + size % 10));
    return out.items;
}

// --- protobuf

/// A TimeSeries with one sample, in the form that prometheus_native.zig finds at once.
fn put_sample(out: *Bytes, head: []const u8, bits: u64, stamp: u64) Failure!void {
    const size = 10 + varint_bytes(stamp);
    try out.ensureUnusedCapacity(gpa, head.len + 48);
    try put_length(out, 0x0a, head.len + 2 + size);
    out.appendSliceAssumeCapacity(head);
    out.appendSliceAssumeCapacity(&.{ 0x12, @intCast(size), 0x09 });
    out.appendSliceAssumeCapacity(std.mem.asBytes(&bits));
    out.appendAssumeCapacity(0x10);
    try put_varint(out, stamp);
}

fn put_stale_histogram(out: *Bytes, head: []const u8, stamp: u64) Failure!void {
    const size = 10 + varint_bytes(stamp);
    try put_length(out, 0x0a, head.len + text_bytes(size));
    try out.appendSlice(gpa, head);
    try put_length(out, 0x22, size);
    try out.append(gpa, 0x19);
    try out.appendSlice(gpa, std.mem.asBytes(&stale_nan));
    try out.append(gpa, 0x78);
    try put_varint(out, stamp);
}

// --- what exposition.py calls

export fn open_scratch() ?*Scratch {
    const scratch = gpa.create(Scratch) catch return null;
    scratch.* = .{};
    return scratch;
}

export fn close_scratch(scratch: *Scratch) void {
    scratch.out.deinit(gpa);
    scratch.metadata.deinit(gpa);
    scratch.heads.deinit(gpa);
    scratch.head.deinit(gpa);
    scratch.histogram.free();
    scratch.histogram_bytes.deinit(gpa);
    scratch.classic.free();
    scratch.exemplars.deinit(gpa);
    scratch.exemplar_bytes.deinit(gpa);
    scratch.exemplar.deinit(gpa);
    scratch.text.deinit(gpa);
    scratch.unknown.deinit(gpa);
    scratch.labels.deinit(gpa);
    scratch.arena.deinit();
    gpa.destroy(scratch);
}

/// `labels` are those of the target, as fields of a TimeSeries, each with a name and a value.
export fn open_target(seed: u64, labels: [*]const u8, size: usize) ?*Target {
    return new_target(seed, labels[0..size]) catch null;
}

fn new_target(seed: u64, labels: []const u8) Failure!*Target {
    const bytes = try gpa.dupe(u8, labels);
    var list: std.ArrayList(Label) = .empty;
    var reader = Wire{ .bytes = bytes };
    while (try reader.next()) |field| {
        var pair = Wire{ .bytes = field.content };
        var label = Label{ .name = "", .value = "" };
        while (try pair.next()) |part| {
            if (part.number == 1) label.name = part.content;
            if (part.number == 2) label.value = part.content;
        }
        try list.append(gpa, label);
    }
    const target = try gpa.create(Target);
    target.* = .{ .seed = seed, .labels = try list.toOwnedSlice(gpa), .label_bytes = bytes };
    return target;
}

export fn close_target(target: *Target) void {
    target.free_series();
    target.forget_parts();
    target.families.free();
    if (target.labels.len > 0) gpa.free(target.labels);
    if (target.label_bytes.len > 0) gpa.free(target.label_bytes);
    gpa.destroy(target);
}

/// How many series of a target are remembered, and in how many bytes.
export fn held(target: *const Target, bytes: *usize) usize {
    bytes.* = target.heads.capacity + target.series.capacity * @sizeOf(Series) +
        target.group_heads.capacity + target.group_list.capacity * @sizeOf(Group) + target.part_list.capacity * @sizeOf(Part);
    for ([_]Index{ target.names, target.by_head, target.families, target.parts, target.groups }) |index|
        bytes.* += index.slots.len * @sizeOf(Index.Slot);
    return target.series.items.len;
}

const done = 0;
const refused = 1;
const has_unknown = 2;
const no_memory = -1;

/// Read a body. Where it says `has_unknown`, nothing counts until the caller has told with learn()
/// what becomes of each of the unknown series, and has called this again, with `is_again`. Else
/// the samples are in scratch.out, and end_scrape() MUST be called.
export fn read_body(
    target: *Target,
    scratch: *Scratch,
    options: *const Options,
    body: [*]const u8,
    size: usize,
    is_again: bool,
    result: *Result,
) c_int {
    scratch.out.clearRetainingCapacity();
    scratch.heads.clearRetainingCapacity();
    scratch.unknown.clearRetainingCapacity();
    target.parts_seen = 0;
    if (!is_again) {
        target.scrape += 1;
        scratch.metadata.clearRetainingCapacity();
    } else {
        for (target.series.items) |*one| {
            if (one.seen == target.scrape) one.seen = 0;
            if (one.tracked == target.scrape) one.tracked = 0;
        }
        for (target.parts.slots) |*slot| if (slot.seen == target.scrape) {
            slot.seen = 0;
        };
    }
    result.* = .{};
    _ = scratch.arena.reset(.{ .retain_with_limit = 1 << 20 });
    var scrape = new_scrape(target, scratch, options, result, body[0..size]);
    const outcome = if (options.format == protobuf) scrape.families_of_body() else scrape.run();
    outcome catch |failure| switch (failure) {
        error.OutOfMemory => return no_memory,
        error.Refused => {
            if (result.failure == 0) result.failure = @backingInt(Refusal.protobuf);
            return refused;
        },
    };
    if (scratch.unknown.items.len > 0) {
        result.unknown = scratch.unknown.items.len;
        return has_unknown;
    }
    return done;
}

/// The labels of a series that was unknown, as fields of a TimeSeries; none where it is dropped.
export fn learn(target: *Target, key: u64, labels: [*]const u8, size: usize) c_int {
    const number = if (size == 0) dropped else target.number_of_labels(labels[0..size]) catch return no_memory;
    _ = target.names.put(key, number) catch return no_memory;
    return done;
}

/// Finish a scrape, or one that has failed: what is gone gets its markers.
export fn end_scrape(
    target: *Target,
    scratch: *Scratch,
    options: *const Options,
    has_failed: bool,
    result: *Result,
) c_int {
    if (has_failed) scratch.out.clearRetainingCapacity();
    var scrape = new_scrape(target, scratch, options, result, "");
    scrape.finish(has_failed) catch return no_memory;
    scratch.out.appendSlice(gpa, scratch.metadata.items) catch return no_memory;
    scratch.metadata.clearRetainingCapacity();
    return done;
}

fn new_scrape(target: *Target, scratch: *Scratch, options: *const Options, result: *Result, body: []const u8) Scrape {
    return .{
        .target = target,
        .scratch = scratch,
        .options = options,
        .result = result,
        .body = body,
        .lexer = .{ .bytes = body, .is_open = options.format == open_metrics },
    };
}

/// Where the bytes are: 0 what was written, 1 the heads of unknown series, 2 these series.
export fn bytes_of(scratch: *Scratch, which: c_int, at: *[*]const u8) usize {
    const bytes: []const u8 = switch (which) {
        0 => scratch.out.items,
        1 => scratch.heads.items,
        else => std.mem.sliceAsBytes(scratch.unknown.items),
    };
    at.* = bytes.ptr;
    return bytes.len;
}

/// Give back what one large body has left.
export fn trim(scratch: *Scratch, bytes_max: usize) void {
    inline for (.{ &scratch.out, &scratch.metadata, &scratch.heads, &scratch.exemplar_bytes }) |bytes| {
        if (bytes.capacity > bytes_max) bytes.clearAndFree(gpa);
    }
}
