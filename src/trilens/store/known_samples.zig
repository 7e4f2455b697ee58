//! Samples of known series, from many requests to one block of columns: known_samples.py says what
//! for.
//!
//! Compiled with bounds checks. What is read was written by this program, but may be damaged.

const std = @import("std");

const known_samples_tag = 16 << 3 | 2;

/// The columns of the block, as in decode/prometheus_write.sql.
const metric_column = .{ "metric", "LowCardinality(String)" };
const series_id_column = .{ "series_id", "UInt64" };
const timestamp_column = .{ "timestamp", "DateTime64(3, 'UTC')" };
const mantissa_column = .{ "mantissa", "Int64" };
const exponent_column = .{ "exponent", "Int8" };
const columns = 5;

/// Of LowCardinality in the Native format: the version of its keys; and that keys follow, with
/// numbers of 1, 2, 4 bytes.
const low_cardinality_version = 1;
const low_cardinality_keys = 0x200;

/// Of the buckets that samples are sorted into.
const buckets_bits_max = 16;

const Damaged = error{Damaged};

/// A KnownSamples: columns of 8 bytes a sample.
const Group = extern struct {
    name: [*]const u8,
    name_bytes: usize,
    series_ids: [*]const u8,
    times_ms: [*]const u8,
    values: [*]const u8,
    samples: usize,

    /// By name; of the same name in the order in which they came.
    fn before(_: void, one: Group, other: Group) bool {
        return std.mem.order(u8, one.metric(), other.metric()) == .lt;
    }

    fn metric(self: Group) []const u8 {
        return self.name[0..self.name_bytes];
    }
};

const Sample = extern struct {
    series_id: u64,
    time_ms: i64,
    value: u64,

    fn before(_: void, one: Sample, other: Sample) bool {
        if (one.series_id != other.series_id) return one.series_id < other.series_id;
        return one.time_ms < other.time_ms;
    }
};

/// As Totals of known_samples.py. `samples_of_metric` is of the metric that has the most.
const Totals = extern struct {
    groups: usize,
    samples: usize,
    name_bytes: usize,
    samples_of_metric: usize,
};

/// Count what the messages hold of known series. `rests` says where in each of them all else
/// begins. Returns how many messages are sound: all of them, or those before the first damaged one.
export fn measure(
    messages: [*]const [*]const u8,
    sizes: [*]const usize,
    count: usize,
    rests: [*]usize,
    totals: *Totals,
) usize {
    totals.* = .{ .groups = 0, .samples = 0, .name_bytes = 0, .samples_of_metric = 0 };
    for (messages[0..count], sizes, rests, 0..) |message, size, *rest, place| {
        var reader = Reader{ .bytes = message[0..size] };
        while (reader.group() catch return place) |found| {
            totals.groups += 1;
            totals.samples += found.samples;
            totals.name_bytes += found.name_bytes;
        }
        rest.* = reader.position;
        reader.skip_rest() catch return place;
    }
    return count;
}

/// Write what `measure` has counted to `groups`, sorted by metric.
export fn sort_groups(
    messages: [*]const [*]const u8,
    sizes: [*]const usize,
    count: usize,
    groups: [*]Group,
    totals: *Totals,
) void {
    const all = groups[0..totals.groups];
    var found: usize = 0;
    for (messages[0..count], sizes) |message, size| {
        var reader = Reader{ .bytes = message[0..size] };
        while (reader.group() catch null) |next| : (found += 1) all[found] = next;
    }
    std.sort.block(Group, all, {}, Group.before);
    var rest: []const Group = all;
    while (rest.len > 0) {
        const same = metric_groups(rest);
        totals.samples_of_metric = @max(totals.samples_of_metric, samples_of(rest[0..same]));
        rest = rest[same..];
    }
}

/// Write sorted groups as a block in the Native format, sorted by metric, series and time. `samples`
/// is room for those of one metric. Returns the bytes that are written.
export fn write_block(
    groups: [*]const Group,
    samples: [*]Sample,
    totals: *const Totals,
    out: [*]u8,
    room: usize,
) usize {
    var block = Block{ .bytes = out[0..room], .rows = totals.samples };
    block.write(groups[0..totals.groups], samples[0..totals.samples_of_metric]);
    return block.size;
}

const Reader = struct {
    bytes: []const u8,
    position: usize = 0,

    /// The next field if it is a KnownSamples, or null, and nothing is read.
    fn group(self: *Reader) Damaged!?Group {
        if (self.position == self.bytes.len) return null;
        const start = self.position;
        if (try self.varint() != known_samples_tag) {
            self.position = start;
            return null;
        }
        var fields = Reader{ .bytes = try self.content() };
        var parts: [4][]const u8 = @splat("");
        while (fields.position < fields.bytes.len) {
            const tag = try fields.varint();
            if (tag & 7 != 2 or tag >> 3 < 1 or tag >> 3 > parts.len) return error.Damaged;
            parts[@intCast((tag >> 3) - 1)] = try fields.content();
        }
        const column_bytes = parts[1].len;
        if (column_bytes % 8 != 0) return error.Damaged;
        for (parts[1..]) |column| if (column.len != column_bytes) return error.Damaged;
        return .{
            .name = parts[0].ptr,
            .name_bytes = parts[0].len,
            .series_ids = parts[1].ptr,
            .times_ms = parts[2].ptr,
            .values = parts[3].ptr,
            .samples = column_bytes / 8,
        };
    }

    /// To the end of the message, in which no KnownSamples may follow: it would be lost.
    fn skip_rest(self: *Reader) Damaged!void {
        while (self.position < self.bytes.len) {
            const tag = try self.varint();
            if (tag >> 3 == known_samples_tag >> 3) return error.Damaged;
            switch (tag & 7) {
                0 => _ = try self.varint(),
                1 => _ = try self.take(8),
                2 => _ = try self.content(),
                5 => _ = try self.take(4),
                else => return error.Damaged,
            }
        }
    }

    fn content(self: *Reader) Damaged![]const u8 {
        return self.take(try self.varint());
    }

    fn take(self: *Reader, size: u64) Damaged![]const u8 {
        if (size > self.bytes.len - self.position) return error.Damaged;
        const start = self.position;
        self.position += @intCast(size);
        return self.bytes[start..self.position];
    }

    fn varint(self: *Reader) Damaged!u64 {
        var value: u64 = 0;
        for (0..10) |place| {
            const byte = (try self.take(1))[0];
            if (place == 9 and byte > 1) return error.Damaged;
            value |= @as(u64, byte & 0x7F) << @intCast(7 * place);
            if (byte < 0x80) return value;
        }
        return error.Damaged;
    }
};

/// A value as it is kept: trilens_sample_exponent and trilens_sample_mantissa of
/// schema/0004_samples.sql, which say why, over again.
const Decimal = struct {
    mantissa: i64,
    exponent: i8,

    const exponent_of_bits = 127;
    const mantissa_max = 9e18;

    fn of(bits: u64) Decimal {
        const value: f64 = @bitCast(bits);
        if (rounded(value) == value) {
            const is_negative_zero = bits == 1 << 63;
            if (@abs(value) < mantissa_max and !is_negative_zero) return .{
                .mantissa = @intFromFloat(value),
                .exponent = 0,
            };
        } else if (@abs(value) <= mantissa_max / 1e9) {
            inline for (.{ 2, 3, 6, 9 }) |exponent| {
                const power = comptime std.math.pow(f64, 10, exponent);
                const whole = rounded(value * power);
                if (whole / power == value) return .{
                    .mantissa = @intFromFloat(whole),
                    .exponent = exponent,
                };
            }
        }
        return .{ .mantissa = @bitCast(bits), .exponent = exponent_of_bits };
    }

    /// To the nearest whole number, halves to the even one.
    fn rounded(value: f64) f64 {
        const all_whole_from = 1 << 52;
        if (!(@abs(value) < all_whole_from)) return value;
        const shift = std.math.copysign(@as(f64, all_whole_from), value);
        return value + shift - shift;
    }
};

const Block = struct {
    bytes: []u8,
    rows: usize,
    size: usize = 0,

    fn write(self: *Block, groups: []const Group, samples: []Sample) void {
        self.varint(columns);
        self.varint(self.rows);
        self.metrics(groups);
        self.header(series_id_column);
        const series_ids = self.numbers(u64);
        self.header(timestamp_column);
        const times_ms = self.numbers(i64);
        self.header(mantissa_column);
        const mantissas = self.numbers(i64);
        self.header(exponent_column);
        const exponents = self.numbers(i8);
        var row: usize = 0;
        var rest = groups;
        while (rest.len > 0) {
            const same = metric_groups(rest);
            const found = sorted(rest[0..same], samples);
            for (found, row..) |sample, place| {
                series_ids[place] = sample.series_id;
                times_ms[place] = sample.time_ms;
                const number = Decimal.of(sample.value);
                mantissas[place] = number.mantissa;
                exponents[place] = number.exponent;
            }
            row += found.len;
            rest = rest[same..];
        }
    }

    /// The column of metrics: the different ones, and for each sample which of them it is of.
    fn metrics(self: *Block, groups: []const Group) void {
        self.header(metric_column);
        self.word(low_cardinality_version);
        var keys: usize = 0;
        var rest = groups;
        while (rest.len > 0) : (keys += 1) rest = rest[metric_groups(rest)..];
        const width: u6 = if (keys <= 1 << 8) 0 else if (keys <= 1 << 16) 1 else 2;
        self.word(low_cardinality_keys | @as(u64, width));
        self.word(keys);
        rest = groups;
        while (rest.len > 0) : (rest = rest[metric_groups(rest)..]) self.text(rest[0].metric());
        self.word(self.rows);
        switch (width) {
            0 => self.keys_of_rows(u8, groups),
            1 => self.keys_of_rows(u16, groups),
            else => self.keys_of_rows(u32, groups),
        }
    }

    fn keys_of_rows(self: *Block, Key: type, groups: []const Group) void {
        var key: Key = 0;
        var rest = groups;
        while (rest.len > 0) : (key +%= 1) {
            const same = metric_groups(rest);
            const size = @sizeOf(Key) * samples_of(rest[0..same]);
            const keys: []align(1) Key = @ptrCast(self.bytes[self.size..][0..size]);
            @memset(keys, key);
            self.size += size;
            rest = rest[same..];
        }
    }

    fn header(self: *Block, column: anytype) void {
        self.text(column[0]);
        self.text(column[1]);
    }

    fn text(self: *Block, bytes: []const u8) void {
        self.varint(bytes.len);
        self.put(bytes);
    }

    /// Room for a number a row.
    fn numbers(self: *Block, Number: type) []align(1) Number {
        const size = @sizeOf(Number) * self.rows;
        defer self.size += size;
        return @ptrCast(self.bytes[self.size..][0..size]);
    }

    fn word(self: *Block, number: u64) void {
        self.put(std.mem.asBytes(&number));
    }

    fn varint(self: *Block, number: usize) void {
        var left = number;
        while (left >= 0x80) : (left >>= 7) self.put(&.{@as(u8, @truncate(left)) | 0x80});
        self.put(&.{@as(u8, @truncate(left))});
    }

    fn put(self: *Block, bytes: []const u8) void {
        @memcpy(self.bytes[self.size..][0..bytes.len], bytes);
        self.size += bytes.len;
    }
};

/// How many at the start are of one metric.
fn metric_groups(groups: []const Group) usize {
    const metric = groups[0].metric();
    var same: usize = 1;
    while (same < groups.len and std.mem.eql(u8, groups[same].metric(), metric)) same += 1;
    return same;
}

fn samples_of(groups: []const Group) usize {
    var count: usize = 0;
    for (groups) |group| count += group.samples;
    return count;
}

/// The samples of one metric by series and time, equals in the order in which they came: first
/// into buckets by the upper bits of their ids, which are hashes. Most buckets then hold one
/// series, and the samples of most series come in order.
fn sorted(groups: []const Group, room: []Sample) []Sample {
    const count = samples_of(groups);
    const bits: u6 = @intCast(std.math.clamp(std.math.log2_int_ceil(usize, @max(count, 1)), 1, buckets_bits_max));
    const shift: u6 = @intCast(64 - @as(u7, bits));
    var room_of_bucket: [1 << buckets_bits_max]u32 = undefined;
    const ends = room_of_bucket[0 .. @as(usize, 1) << bits];
    @memset(ends, 0);
    for (groups) |group| {
        for (0..group.samples) |place| ends[number_at(group.series_ids, place) >> shift] += 1;
    }
    var start: u32 = 0;
    for (ends) |*end| {
        const size = end.*;
        end.* = start;
        start += size;
    }
    for (groups) |group| {
        for (0..group.samples) |place| {
            const series_id = number_at(group.series_ids, place);
            const end = &ends[series_id >> shift];
            room[end.*] = .{
                .series_id = series_id,
                .time_ms = @bitCast(number_at(group.times_ms, place)),
                .value = number_at(group.values, place),
            };
            end.* += 1;
        }
    }
    start = 0;
    for (ends) |end| {
        const bucket = room[start..end];
        if (!std.sort.isSorted(Sample, bucket, {}, Sample.before)) {
            std.sort.block(Sample, bucket, {}, Sample.before);
        }
        start = end;
    }
    return room[0..count];
}

fn number_at(column: [*]const u8, place: usize) u64 {
    return std.mem.readInt(u64, column[8 * place ..][0..8], .little);
}
