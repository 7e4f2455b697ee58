//! The loops of remote write over every series of a request: prometheus_native.py says what for.
//!
//! Compiled with bounds checks: what these read was sent by anybody.

const std = @import("std");

const timeseries_tag = 1 << 3 | 2;
const metadata_tag = 3 << 3 | 2;
const known_samples_tag = 16 << 3 | 2;

/// 12 10 09 <the 8 bytes of the value> 10 <a varint of 6 bytes: ms>
const sample_bytes = 18;
/// 12 07 10 <..>, for a value of 0
const zero_bytes = 9;

/// Two thirds of a day, in ms.
const day_bits = 26;
/// Odd, so no two days are alike.
const day_mix = 0x9E3779B97F4A7C15;

const Kind = enum(u16) { unknown, message, sample, foreign };

/// As FIELD of prometheus_native.py. What follows `end` is set for samples, and what
/// the table holds of them for those that it has copies of.
const Field = extern struct {
    start: u32,
    end: u32,
    head_start: u32 = 0,
    head_end: u32 = 0,
    key: u64 = 0,
    series_id: u64 = 0,
    time_ms: u64 = 0,
    value: u64 = 0,
    metric: u32 = 0,
    kind: Kind = .unknown,
    copies: u16 = 0,
};

/// As Table of prometheus_native.py: a hash table with linear probing. At least one slot is
/// empty, which a key of 0 says.
const Table = extern struct {
    seed: u64,
    slots: usize,
    keys: [*]u64,
    series_ids: [*]u64,
    metrics: [*]u32,
    copies: [*]u8,

    /// Where the key is, or where it would be.
    fn slot(self: Table, key: u64) usize {
        const mask = self.slots - 1;
        var place: usize = key & mask;
        while (self.keys[place] != key and self.keys[place] != 0) place = (place + 1) & mask;
        return place;
    }
};

/// Put keys into the table, without those that it has. Returns how many are new.
export fn insert(
    table: *const Table,
    count: usize,
    keys: [*]const u64,
    series_ids: [*]const u64,
    metrics: [*]const u32,
    copies: [*]const u8,
) usize {
    var new: usize = 0;
    for (keys[0..count], series_ids, metrics, copies) |key, series_id, metric, copy| {
        const place = table.slot(key);
        if (table.keys[place] == key) continue;
        table.keys[place] = key;
        table.series_ids[place] = series_id;
        table.metrics[place] = metric;
        table.copies[place] = copy;
        new += 1;
    }
    return new;
}

/// Note that there are so many copies now of those keys that the table has.
export fn mark(table: *const Table, count: usize, keys: [*]const u64, copies: u8) void {
    for (keys[0..count]) |key| {
        const place = table.slot(key);
        if (table.keys[place] == key) table.copies[place] = copies;
    }
}

/// Describe fields from `position` on, as many as there is room for, and move it behind them.
/// Returns how many, or -1 where `position` is not at a field of a protobuf message.
export fn find_fields(
    message: [*]const u8,
    size: usize,
    position: *usize,
    table: *const Table,
    found: [*]Field,
    room: usize,
) isize {
    var reader = Reader{ .bytes = message[0..size], .position = position.* };
    var count: usize = 0;
    while (reader.position < size and count < room) : (count += 1) {
        found[0..room][count] = reader.field(table.*) orelse return -1;
        position.* = reader.position;
    }
    return @intCast(count);
}

const Reader = struct {
    bytes: []const u8,
    position: usize,

    fn field(self: *Reader, table: Table) ?Field {
        const start = self.position;
        const tag = self.varint() orelse return null;
        if (tag >> 3 == 0 or tag >> 32 != 0) return null;
        const length = switch (tag & 7) {
            0 => if (self.varint()) |_| 0 else return null,
            1 => 8,
            2 => self.varint() orelse return null,
            5 => 4,
            else => return null,
        };
        if (length > self.bytes.len - self.position) return null;
        const content = self.position;
        self.position += @intCast(length);
        var found = Field{ .start = @intCast(start), .end = @intCast(self.position) };
        switch (tag) {
            timeseries_tag => {
                found.kind = .message;
                self.look_for_sample(&found, content, table);
            },
            metadata_tag => found.kind = .message,
            else => if (tag >> 3 == known_samples_tag >> 3) {
                found.kind = .foreign;
            },
        }
        return found;
    }

    /// Whether a TimeSeries ends with one plain sample, and what is known of what is before it.
    fn look_for_sample(self: *Reader, found: *Field, start: usize, table: Table) void {
        const end = self.position;
        if (end - start <= zero_bytes) return;
        const last = self.word(end - 8);
        if (last & 0x808080808080FF00 != 0x0080808080801000) return;
        const head_end = if (end - start > sample_bytes and
            self.word(end - sample_bytes) & 0xFFFFFF == 0x091012)
            end - sample_bytes
        else if (self.word(end - zero_bytes) & 0xFFFFFF == 0x100712)
            end - zero_bytes
        else
            return;
        found.kind = .sample;
        found.head_start = @intCast(start);
        found.head_end = @intCast(head_end);
        if (head_end == end - sample_bytes) found.value = self.word(end - 15);
        inline for (0..6) |place| {
            found.time_ms |= (last >> (16 + 8 * place) & 0x7F) << 7 * place;
        }
        const hash = std.hash.Wyhash.hash(table.seed, self.bytes[start..head_end]);
        const day = (found.time_ms + (hash & (1 << day_bits) - 1)) >> day_bits;
        found.key = @max(hash ^ day *% day_mix, 1);
        const slot = table.slot(found.key);
        if (table.keys[slot] == found.key) {
            found.series_id = table.series_ids[slot];
            found.metric = table.metrics[slot];
            found.copies = table.copies[slot];
        }
    }

    fn varint(self: *Reader) ?u64 {
        var value: u64 = 0;
        for (0..10) |place| {
            if (self.position == self.bytes.len) return null;
            const byte = self.bytes[self.position];
            self.position += 1;
            if (place == 9 and byte > 1) return null;
            value |= @as(u64, byte & 0x7F) << @intCast(7 * place);
            if (byte < 0x80) return value;
        }
        return null;
    }

    fn word(self: *Reader, position: usize) u64 {
        return std.mem.readInt(u64, self.bytes[position..][0..8], .little);
    }
};

/// Write the fields at `places`, samples sorted by metric, as one KnownSamples for each metric.
/// `names` are the metrics' names as fields behind each other, `name_ends` where each ends. Returns
/// the bytes that are written, or that would be where there is no `room`.
export fn write_known_samples(
    fields: [*]const Field,
    places: [*]const u64,
    count: usize,
    names: [*]const u8,
    name_ends: [*]const u64,
    out: [*]u8,
    room: usize,
) usize {
    var writer = Writer{ .bytes = out[0..room] };
    var rest = places[0..count];
    while (rest.len > 0) {
        const metric = fields[rest[0]].metric;
        var same: usize = 1;
        while (same < rest.len and fields[rest[same]].metric == metric) same += 1;
        const name_start = if (metric == 0) 0 else name_ends[metric - 1];
        writer.group(fields, rest[0..same], names[name_start..name_ends[metric]]);
        rest = rest[same..];
    }
    return writer.size;
}

const Writer = struct {
    bytes: []u8,
    size: usize = 0,

    fn group(self: *Writer, fields: [*]const Field, places: []const u64, name: []const u8) void {
        const column_bytes = 8 * places.len;
        const content = name.len + 3 * (1 + varint_bytes(column_bytes) + column_bytes);
        self.varint(known_samples_tag);
        self.varint(content);
        self.put(name);
        inline for (.{ "series_id", "time_ms", "value" }, 2..) |column, number| {
            self.varint(number << 3 | 2);
            self.varint(column_bytes);
            for (places) |place| self.put(std.mem.asBytes(&@field(fields[place], column)));
        }
    }

    fn varint(self: *Writer, number: usize) void {
        var left = number;
        while (left >= 0x80) : (left >>= 7) self.put(&.{@as(u8, @truncate(left)) | 0x80});
        self.put(&.{@as(u8, @truncate(left))});
    }

    fn put(self: *Writer, bytes: []const u8) void {
        if (self.bytes.len > 0) @memcpy(self.bytes[self.size..][0..bytes.len], bytes);
        self.size += bytes.len;
    }
};

fn varint_bytes(number: usize) usize {
    var count: usize = 1;
    var left = number;
    while (left >= 0x80) : (left >>= 7) count += 1;
    return count;
}
