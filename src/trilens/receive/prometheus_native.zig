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

/// Two thirds of a day, in ms, and the 32nd part of it.
const day_bits = 26;
const day_part_bits = 21;
/// Odd, so no two days are alike.
const day_mix = 0x9E3779B97F4A7C15;

const Kind = enum(u16) { unknown, message, sample, foreign };

/// As FIELD of prometheus_native.py. What follows `end` is set for samples; the metric for those of
/// series that the table does not have, if their labels look as usual.
const Field = extern struct {
    start: u32,
    end: u32,
    head_start: u32 = 0,
    head_end: u32 = 0,
    key: u64 = 0,
    time_ms: u64 = 0,
    value: u64 = 0,
    kind: Kind = .unknown,
    copies: u16 = 0,
    metric_start: u32 = 0,
    metric_end: u32 = 0,
};

/// As KNOWN of prometheus_native.py: a sample of a series that is known. `next` is the place of the
/// next one of its metric.
const Known = extern struct {
    series_id: u64,
    time_ms: u64,
    value: u64,
    metric: u32,
    next: u32 = 0,
};

/// As SLOT of prometheus_native.py. Nothing is here where the key is 0.
const Slot = extern struct { key: u64, series_id: u64, metric: u32, copies: u32 };

/// As Table of prometheus_native.py: a hash table with linear probing. At least one slot is empty.
const Table = extern struct {
    seed: u64,
    copies_of_known: u32,
    slots: [*]Slot,
    count: usize,

    /// Where the key is if nothing else is there.
    fn slot_wanted(self: Table, key: u64) *Slot {
        return &self.slots[key & self.count - 1];
    }

    /// Where the key is, or where it would be.
    fn slot(self: Table, key: u64) *Slot {
        const mask = self.count - 1;
        var place: usize = key & mask;
        while (self.slots[place].key != key and self.slots[place].key != 0) place = (place + 1) & mask;
        return &self.slots[place];
    }
};

/// Put series into the table, without those that it has. Returns how many are new.
export fn insert(table: *const Table, series: [*]const Slot, count: usize) usize {
    var new: usize = 0;
    for (series[0..count]) |one| {
        const slot = table.slot(one.key);
        if (slot.key == one.key) continue;
        slot.* = one;
        new += 1;
    }
    return new;
}

/// Note that there are so many copies now of those keys that the table has.
export fn mark(table: *const Table, keys: [*]const u64, count: usize, copies: u32) void {
    for (keys[0..count]) |key| {
        const slot = table.slot(key);
        if (slot.key == key) slot.copies = copies;
    }
}

/// As Found of prometheus_native.py: how many fields there were, and of which sort.
const Found = extern struct { position: usize, fields: usize, rest: usize, known: usize };

/// Fields that are looked up together, so that the memory of the table is fetched for all of them
/// at once.
const together = 16;

/// Read fields from `position` on, as many as there is room for, and move it behind them. Those
/// that are a sample of a known series go to `known`, all others to `rest`. Returns whether
/// `position` is at a field of a protobuf message, or at the end.
export fn find_fields(
    message: [*]const u8,
    size: usize,
    table: *const Table,
    rest: [*]Field,
    known: [*]Known,
    room: usize,
    found: *Found,
) bool {
    found.* = .{ .position = found.position, .fields = 0, .rest = 0, .known = 0 };
    while (found.position < size and found.fields < room) {
        var reader = Reader{ .bytes = message[0..size], .position = found.position };
        var fields: [together]Field = undefined;
        var count: usize = 0;
        while (count < @min(together, room - found.fields) and reader.position < size) : (count += 1) {
            fields[count] = reader.field() orelse break;
            if (fields[count].kind == .sample) {
                fields[count].key = reader.key(fields[count], table.seed);
                @prefetch(table.slot_wanted(fields[count].key), .{});
            }
        }
        if (count == 0) return false;
        for (fields[0..count]) |*field| {
            if (field.kind == .sample) {
                const slot = table.slot(field.key);
                if (slot.key != field.key) {
                    reader.look_for_metric(field);
                } else if (slot.copies == table.copies_of_known) {
                    known[found.known] = .{
                        .series_id = slot.series_id,
                        .time_ms = field.time_ms,
                        .value = field.value,
                        .metric = slot.metric,
                    };
                    found.known += 1;
                    continue;
                } else field.copies = @truncate(slot.copies);
            }
            rest[found.rest] = field.*;
            found.rest += 1;
        }
        found.fields += count;
        found.position = fields[count - 1].end;
    }
    return true;
}

const Reader = struct {
    bytes: []const u8,
    position: usize,

    fn field(self: *Reader) ?Field {
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
                self.look_for_sample(&found, content);
            },
            metadata_tag => found.kind = .message,
            else => if (tag >> 3 == known_samples_tag >> 3) {
                found.kind = .foreign;
            },
        }
        return found;
    }

    /// Whether a TimeSeries ends with one plain sample.
    fn look_for_sample(self: *Reader, found: *Field, start: usize) void {
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
    }

    /// What is looked up of a sample: its labels as they were sent, and its day.
    fn key(self: *Reader, found: Field, seed: u64) u64 {
        const hash = std.hash.Wyhash.hash(seed, self.bytes[found.head_start..found.head_end]);
        const begin = hash & (1 << day_bits) - (1 << day_part_bits);
        const day = (found.time_ms + begin) >> day_bits;
        return @max(hash ^ day *% day_mix, 1);
    }

    /// Where the metric is among the labels before a sample, if their bytes are those that the
    /// store makes of them: sorted, none empty or twice, no length longer than needed.
    fn look_for_metric(self: *Reader, found: *Field) void {
        var labels = Reader{ .bytes = self.bytes[0..found.head_end], .position = found.head_start };
        var metric: []const u8 = self.bytes[found.head_start..found.head_start];
        var before: []const u8 = "";
        while (labels.position < labels.bytes.len) {
            const label = labels.text(1) orelse return;
            var parts = Reader{ .bytes = label, .position = 0 };
            const name = parts.text(1) orelse return;
            const value = parts.text(2) orelse return;
            if (parts.position < label.len or value.len == 0) return;
            if (std.mem.order(u8, before, name) != .lt) return;
            if (std.mem.eql(u8, name, "__name__")) metric = value;
            before = name;
        }
        found.metric_start = @intCast(@intFromPtr(metric.ptr) - @intFromPtr(self.bytes.ptr));
        found.metric_end = found.metric_start + @as(u32, @intCast(metric.len));
    }

    /// The content of a field of this number, if it is the next one and its length is written as
    /// short as it can be.
    fn text(self: *Reader, number: u8) ?[]const u8 {
        if (self.position == self.bytes.len or self.bytes[self.position] != number << 3 | 2) return null;
        self.position += 1;
        const start = self.position;
        const length = self.varint() orelse return null;
        if (self.position - start != varint_bytes(length)) return null;
        if (length > self.bytes.len - self.position) return null;
        defer self.position += length;
        return self.bytes[self.position..][0..length];
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

/// As METRIC of prometheus_native.py: where the name of a metric ends, as a field, among all names;
/// and of the samples that are being written the first and the last of this metric, how many they
/// are, and the metric that came next. `samples` is 0 in between.
const Metric = extern struct {
    name_end: u64,
    first: u32 = 0,
    last: u32 = 0,
    samples: u32 = 0,
    next: u32 = 0,
};

/// Chain samples of the same metric. Returns how many bytes write_known_samples will write.
export fn chain_known_samples(known: [*]Known, count: usize, metrics: [*]Metric) usize {
    var size: usize = 0;
    var newest: ?*Metric = null;
    for (known[0..count], 0..) |sample, place| {
        const metric = &metrics[sample.metric];
        if (metric.samples == 0) {
            metric.first = @intCast(place);
            if (newest) |before| before.next = sample.metric;
            newest = metric;
        } else {
            known[metric.last].next = @intCast(place);
        }
        metric.last = @intCast(place);
        metric.samples += 1;
    }
    var left = count;
    var number = known[0].metric;
    while (left > 0) : (number = metrics[number].next) {
        left -= metrics[number].samples;
        const content = content_bytes(metrics, number);
        size += varint_bytes(known_samples_tag) + varint_bytes(content) + content;
    }
    return size;
}

/// Write samples that are chained as one KnownSamples for each metric, in the order in which they
/// came. `names` are the metrics' names as fields behind each other.
export fn write_known_samples(
    known: [*]const Known,
    count: usize,
    metrics: [*]Metric,
    names: [*]const u8,
    out: [*]u8,
    size: usize,
) void {
    var writer = Writer{ .bytes = out[0..size] };
    var left = count;
    var number = known[0].metric;
    while (left > 0) {
        const metric = &metrics[number];
        writer.varint(known_samples_tag);
        writer.varint(content_bytes(metrics, number));
        writer.put(names[name_start(metrics, number)..metric.name_end]);
        writer.columns(known, metric.first, metric.samples);
        left -= metric.samples;
        metric.samples = 0;
        number = metric.next;
    }
}

fn name_start(metrics: [*]const Metric, number: u32) usize {
    return if (number == 0) 0 else metrics[number - 1].name_end;
}

/// What a KnownSamples has behind its length.
fn content_bytes(metrics: [*]const Metric, number: u32) usize {
    const name_bytes = metrics[number].name_end - name_start(metrics, number);
    const column_bytes = 8 * @as(usize, metrics[number].samples);
    return name_bytes + 3 * (1 + varint_bytes(column_bytes) + column_bytes);
}

const Writer = struct {
    bytes: []u8,
    size: usize = 0,

    /// The samples of one metric, from `first` on along their chain.
    fn columns(self: *Writer, known: [*]const Known, first: u32, count: usize) void {
        const series_ids = self.column(2, count);
        const times_ms = self.column(3, count);
        const values = self.column(4, count);
        var place = first;
        for (series_ids, times_ms, values) |*series_id, *time_ms, *value| {
            const sample = &known[place];
            series_id.* = sample.series_id;
            time_ms.* = sample.time_ms;
            value.* = sample.value;
            place = sample.next;
        }
    }

    fn column(self: *Writer, number: usize, count: usize) []align(1) u64 {
        self.varint(number << 3 | 2);
        self.varint(8 * count);
        defer self.size += 8 * count;
        return @ptrCast(self.bytes[self.size..][0 .. 8 * count]);
    }

    fn varint(self: *Writer, number: usize) void {
        var left = number;
        while (left >= 0x80) : (left >>= 7) self.put(&.{@as(u8, @truncate(left)) | 0x80});
        self.put(&.{@as(u8, @truncate(left))});
    }

    fn put(self: *Writer, bytes: []const u8) void {
        @memcpy(self.bytes[self.size..][0..bytes.len], bytes);
        self.size += bytes.len;
    }
};

fn varint_bytes(number: usize) usize {
    var count: usize = 1;
    var left = number;
    while (left >= 0x80) : (left >>= 7) count += 1;
    return count;
}
