//! Native histograms between an exposition and remote write: read, made of classic ones, made
//! coarser, checked, written.
//!
//!     Histogram   one with its buckets as absolute counts, integers or floats
//!     Classic     buckets with upper bounds, as text/plain has them, that become a Histogram with
//!                 custom bounds (util/convertnhcb of Prometheus 3)
//!     Wire, put_  fields of protobuf
//!
//! What they are is model/histogram of Prometheus 3; the message is prometheus.Histogram of remote
//! write 1.0 with custom_values. exposition.zig is the only user.

const std = @import("std");

pub const gpa = std.heap.page_allocator;
pub const Bytes = std.ArrayList(u8);
pub const Failure = error{ Refused, OutOfMemory };

pub const normal_nan: u64 = 0x7ff8000000000001;

pub const schema_min = -4;
pub const schema_max = 8;
/// Finer ones than schema_max may come, if they are to be made coarser.
const schema_reserved_max = 52;
const custom_schema = -53;
const gauge_hint = 3;

const Span = struct { offset: i64, length: u64 };

/// Buckets above or below zero. `counts` are i64 or f64, as bits.
const Side = struct {
    spans: std.ArrayList(Span) = .empty,
    counts: std.ArrayList(u64) = .empty,

    fn clear(self: *Side) void {
        self.spans.clearRetainingCapacity();
        self.counts.clearRetainingCapacity();
    }

    fn span_buckets(self: *const Side) u64 {
        var sum: u64 = 0;
        for (self.spans.items) |one| sum +|= one.length;
        return sum;
    }

    /// The bucket at `index`, behind all others. A gap of one bucket or more begins a span.
    fn add(self: *Side, index: i64, before: *?i64, count: u64) Failure!void {
        if (before.*) |last| {
            if (index == last + 1) {
                self.spans.items[self.spans.items.len - 1].length += 1;
            } else try self.spans.append(gpa, .{ .offset = index - last - 1, .length = 1 });
        } else try self.spans.append(gpa, .{ .offset = index, .length = 1 });
        before.* = index;
        try self.counts.append(gpa, count);
    }
};

pub const Histogram = struct {
    is_float: bool = false,
    is_gauge: bool = false,
    schema: i64 = 0,
    sum: u64 = 0,
    /// Of floats as bits, as are counts of buckets.
    count: u64 = 0,
    zero_count: u64 = 0,
    zero_threshold: u64 = 0,
    /// Below zero, and above.
    sides: [2]Side = .{ .{}, .{} },
    bounds: std.ArrayList(f64) = .empty,
    room: Side = .{},

    pub fn free(self: *Histogram) void {
        for (&self.sides) |*side| free_side(side);
        free_side(&self.room);
        self.bounds.deinit(gpa);
    }

    fn free_side(side: *Side) void {
        side.spans.deinit(gpa);
        side.counts.deinit(gpa);
    }

    fn clear(self: *Histogram) void {
        for (&self.sides) |*side| side.clear();
        self.bounds.clearRetainingCapacity();
        self.* = .{ .sides = self.sides, .bounds = self.bounds, .room = self.room };
    }

    pub fn buckets(self: *const Histogram) usize {
        return self.sides[0].counts.items.len + self.sides[1].counts.items.len;
    }

    /// io.prometheus.client.Histogram. Raises Refused where spans and buckets do not agree.
    pub fn read(self: *Histogram, message: []const u8, is_gauge: bool) Failure!void {
        self.clear();
        self.is_gauge = is_gauge;
        self.is_float = try is_float_message(message);
        var wire = Wire{ .bytes = message };
        while (try wire.next()) |field| switch (field.number) {
            1 => if (!self.is_float) {
                self.count = field.value;
            },
            2 => self.sum = @bitCast(field.double()),
            4 => if (self.is_float) {
                self.count = @bitCast(field.double());
            },
            5 => self.schema = @as(i32, @truncate(signed(field.value))),
            6 => self.zero_threshold = @bitCast(field.double()),
            7 => if (!self.is_float) {
                self.zero_count = field.value;
            },
            8 => if (self.is_float) {
                self.zero_count = @bitCast(field.double());
            },
            9, 12 => try add_span(&self.sides[@intFromBool(field.number == 12)], field.content),
            10, 13 => if (!self.is_float) try add_deltas(&self.sides[@intFromBool(field.number == 13)], field),
            11, 14 => if (self.is_float) try add_floats(&self.sides[@intFromBool(field.number == 14)], field),
            else => {},
        };
        if (!self.is_float) for (&self.sides) |*side| {
            var before: i64 = 0;
            for (side.counts.items) |*one| {
                before +%= @bitCast(one.*);
                one.* = @bitCast(before);
            }
        };
        for (&self.sides) |*side| {
            if (side.span_buckets() != side.counts.items.len) return error.Refused;
        }
        for (&self.sides) |*side| try self.compact(side, 0);
    }

    fn is_float_message(message: []const u8) Failure!bool {
        var wire = Wire{ .bytes = message };
        var is_float = false;
        while (try wire.next()) |field| {
            if ((field.number == 4 or field.number == 8) and field.double() > 0) is_float = true;
        }
        return is_float;
    }

    fn add_span(side: *Side, message: []const u8) Failure!void {
        var wire = Wire{ .bytes = message };
        var span = Span{ .offset = 0, .length = 0 };
        while (try wire.next()) |field| switch (field.number) {
            1 => span.offset = @as(i32, @truncate(signed(field.value))),
            2 => span.length = @as(u32, @truncate(field.value)),
            else => {},
        };
        try side.spans.append(gpa, span);
    }

    fn add_deltas(side: *Side, field: Field) Failure!void {
        if (field.wire == 0) return side.counts.append(gpa, @bitCast(signed(field.value)));
        if (field.wire != 2) return error.Refused;
        var wire = Wire{ .bytes = field.content };
        while (wire.at < field.content.len) {
            try side.counts.append(gpa, @bitCast(signed(try wire.varint())));
        }
    }

    fn add_floats(side: *Side, field: Field) Failure!void {
        if (field.wire == 1) return side.counts.append(gpa, field.value);
        if (field.wire != 2 or field.content.len % 8 != 0) return error.Refused;
        var at: usize = 0;
        while (at < field.content.len) : (at += 8) {
            try side.counts.append(gpa, std.mem.readInt(u64, field.content[at..][0..8], .little));
        }
    }

    fn is_zero(self: *const Histogram, count: u64) bool {
        return if (self.is_float) @as(f64, @bitCast(count)) == 0 else count == 0;
    }

    /// Without buckets that nothing fell into, but for gaps of `kept_max` and less.
    fn compact(self: *Histogram, side: *Side, kept_max: i64) Failure!void {
        self.room.clear();
        var last: ?i64 = null;
        var index: i64 = 0;
        var place: usize = 0;
        for (side.spans.items, 0..) |span, number| {
            if (number > 0 and span.offset < 0) return error.Refused;
            index += span.offset;
            for (0..@intCast(span.length)) |_| {
                const count = side.counts.items[place];
                if (!self.is_zero(count)) {
                    if (last) |before| if (index - before - 1 <= kept_max) {
                        var empty = before + 1;
                        while (empty < index) : (empty += 1) try self.room.add(empty, &last, 0);
                    };
                    try self.room.add(index, &last, count);
                }
                place += 1;
                index += 1;
            }
        }
        std.mem.swap(Side, side, &self.room);
    }

    /// `schema` MUST be below the one that it has.
    fn reduce(self: *Histogram, schema: i64) Failure!void {
        const shift: u6 = @intCast(self.schema - schema);
        for (&self.sides) |*side| {
            self.room.clear();
            var last: ?i64 = null;
            var index: i64 = 0;
            var place: usize = 0;
            for (side.spans.items) |span| {
                index += span.offset;
                for (0..@intCast(span.length)) |_| {
                    const count = side.counts.items[place];
                    const wider = ((index - 1) >> shift) + 1;
                    if (last != null and last.? == wider) {
                        const sum = &self.room.counts.items[self.room.counts.items.len - 1];
                        sum.* = self.added(sum.*, count);
                    } else try self.room.add(wider, &last, count);
                    place += 1;
                    index += 1;
                }
            }
            std.mem.swap(Side, side, &self.room);
        }
        self.schema = schema;
    }

    fn added(self: *const Histogram, one: u64, other: u64) u64 {
        if (!self.is_float) return one +% other;
        return @bitCast(@as(f64, @bitCast(one)) + @as(f64, @bitCast(other)));
    }

    /// Make it as coarse as `finest` wants it, and further until it has `buckets_max` (0 is any
    /// number). Returns whether it fits.
    pub fn fit(self: *Histogram, finest: i64, buckets_max: u64) Failure!bool {
        const is_custom = self.schema == custom_schema;
        const is_coarser = finest < schema_max and self.schema > finest;
        if (!is_custom and is_coarser and self.schema <= schema_reserved_max) try self.reduce(finest);
        if (buckets_max == 0) return true;
        while (self.buckets() > buckets_max) {
            if (is_custom or self.schema <= schema_min or self.schema > schema_max) return false;
            try self.reduce(self.schema - 1);
        }
        return true;
    }

    /// As Prometheus's Validate. Raises Refused.
    pub fn check(self: *const Histogram) Failure!void {
        if (self.schema != custom_schema and (self.schema < schema_min or self.schema > schema_max))
            return error.Refused;
        for (&self.sides) |*side| for (side.spans.items) |span| {
            const is_sound = span.offset >= std.math.minInt(i32) and span.offset <= std.math.maxInt(i32);
            if (!is_sound or span.length > std.math.maxInt(u32)) return error.Refused;
        };
        if (self.schema == custom_schema) {
            if (self.sides[0].counts.items.len > 0 or self.zero_count != 0 or self.zero_threshold != 0)
                return error.Refused;
            var before: ?f64 = null;
            for (self.bounds.items) |bound| {
                if (std.math.isNan(bound) or bound == std.math.inf(f64)) return error.Refused;
                if (before) |one| if (bound <= one) return error.Refused;
                before = bound;
            }
            var width: i64 = 0;
            for (self.sides[1].spans.items) |span| {
                if (span.offset < 0) return error.Refused;
                width += span.offset + @as(i64, @intCast(span.length));
            }
            if (width > self.bounds.items.len + 1) return error.Refused;
        }
        if (self.is_float) return self.check_floats();
        var sum: u64 = self.zero_count;
        for (&self.sides) |*side| for (side.counts.items) |count| {
            if (@as(i64, @bitCast(count)) < 0) return error.Refused;
            sum +|= count;
        };
        const has_nan = std.math.isNan(@as(f64, @bitCast(self.sum)));
        if (if (has_nan) sum > self.count else sum != self.count) return error.Refused;
    }

    fn check_floats(self: *const Histogram) Failure!void {
        for ([_]u64{ self.count, self.zero_count }) |count| {
            if (@as(f64, @bitCast(count)) < 0) return error.Refused;
        }
        for (&self.sides) |*side| for (side.counts.items) |count| {
            if (@as(f64, @bitCast(count)) < 0) return error.Refused;
        };
    }

    /// prometheus.Histogram, at `stamp` in ms.
    pub fn put(self: *const Histogram, out: *Bytes, stamp: u64) Failure!void {
        if (self.is_float) {
            try put_fixed(out, 0x11, self.count);
        } else try put_length(out, 0x08, self.count);
        // A target cannot say that a series has ended.
        const sum: f64 = @bitCast(self.sum);
        try put_fixed(out, 0x19, if (std.math.isNan(sum)) normal_nan else self.sum);
        try put_length(out, 0x20, zigzag(self.schema));
        if (self.zero_threshold != 0) try put_fixed(out, 0x29, self.zero_threshold);
        if (self.is_float) {
            if (self.zero_count != 0) try put_fixed(out, 0x39, self.zero_count);
        } else if (self.schema != custom_schema) try put_length(out, 0x30, self.zero_count);
        for (&self.sides, 0..) |*side, number| {
            const base: u8 = if (number == 0) 8 << 3 else 11 << 3;
            for (side.spans.items) |span| {
                const offset = zigzag(span.offset);
                try put_length(out, base | 2, 2 + varint_bytes(offset) + varint_bytes(span.length));
                try put_length(out, 0x08, offset);
                try put_length(out, 0x10, span.length);
            }
            try self.put_counts(out, base, side.counts.items);
        }
        if (self.is_gauge) try out.appendSlice(gpa, &.{ 0x70, gauge_hint });
        try put_length(out, 0x78, stamp);
        if (self.bounds.items.len == 0) return;
        try out.appendSlice(gpa, &.{ 0x82, 0x01 });
        try put_varint(out, 8 * self.bounds.items.len);
        for (self.bounds.items) |bound| try out.appendSlice(gpa, std.mem.asBytes(&bound));
    }

    fn put_counts(self: *const Histogram, out: *Bytes, base: u8, counts: []const u64) Failure!void {
        if (counts.len == 0) return;
        if (self.is_float) {
            try put_length(out, base + 16 | 2, 8 * counts.len);
            for (counts) |count| try out.appendSlice(gpa, std.mem.asBytes(&count));
            return;
        }
        var size: usize = 0;
        var before: i64 = 0;
        for (counts) |count| {
            size += varint_bytes(zigzag(@as(i64, @bitCast(count)) -% before));
            before = @bitCast(count);
        }
        try put_length(out, base + 8 | 2, size);
        before = 0;
        for (counts) |count| {
            try put_varint(out, zigzag(@as(i64, @bitCast(count)) -% before));
            before = @bitCast(count);
        }
    }
};

/// A classic histogram, bucket by bucket, in any order.
pub const Classic = struct {
    const Bucket = struct {
        bound: f64,
        count: f64,

        fn before(_: void, one: Bucket, other: Bucket) bool {
            return one.bound < other.bound;
        }
    };

    buckets: std.ArrayList(Bucket) = .empty,
    count: ?f64 = null,
    sum: f64 = 0,
    has_failed: bool = false,

    pub fn free(self: *Classic) void {
        self.buckets.deinit(gpa);
    }

    pub fn clear(self: *Classic) void {
        self.buckets.clearRetainingCapacity();
        self.count = null;
        self.sum = 0;
        self.has_failed = false;
    }

    pub fn set_count(self: *Classic, count: f64) void {
        if (self.has_failed) return;
        if (count < 0) self.has_failed = true else self.count = count;
    }

    pub fn set_sum(self: *Classic, sum: f64) void {
        self.sum = sum;
    }

    /// `count` is of all that is not above `bound`. The first of two with one bound holds.
    pub fn set_bucket(self: *Classic, bound: f64, count: f64) Failure!void {
        if (std.math.isNan(bound) or count < 0) self.has_failed = true;
        if (!self.has_failed) try self.buckets.append(gpa, .{ .bound = bound, .count = count });
    }

    /// By bound. Sorted only now, since a target may send them in any order.
    fn sort(self: *Classic) void {
        const items = self.buckets.items;
        for (items[0..items.len -| 1], items[@min(1, items.len)..]) |one, other| {
            if (!(one.bound < other.bound)) break;
        } else return;
        std.mem.sort(Bucket, items, {}, Bucket.before);
        var kept: usize = 0;
        for (items) |one| {
            if (kept > 0 and items[kept - 1].bound == one.bound) continue;
            items[kept] = one;
            kept += 1;
        }
        self.buckets.shrinkRetainingCapacity(kept);
    }

    /// Raises Refused where these are no buckets of one histogram.
    pub fn convert(self: *Classic, to: *Histogram, is_gauge: bool) Failure!void {
        if (self.has_failed) return error.Refused;
        self.sort();
        const found = self.buckets.items;
        const count = self.count orelse if (found.len > 0) found[found.len - 1].count else 0;
        if (found.len == 0 or found[found.len - 1].bound != std.math.inf(f64)) {
            try self.buckets.append(gpa, .{ .bound = std.math.inf(f64), .count = count });
        }
        const items = self.buckets.items;
        to.clear();
        to.is_gauge = is_gauge;
        to.schema = custom_schema;
        to.sum = @bitCast(self.sum);
        to.is_float = !is_whole(count);
        for (items) |one| to.is_float = to.is_float or !is_whole(one.count);
        if (count != items[items.len - 1].count) return error.Refused;
        to.count = if (to.is_float) @bitCast(count) else @intFromFloat(count);
        const side = &to.sides[1];
        try side.spans.append(gpa, .{ .offset = 0, .length = items.len });
        var before: f64 = 0;
        for (items, 0..) |one, number| {
            if (one.count < before) return error.Refused;
            const within = one.count - before;
            before = one.count;
            try side.counts.append(gpa, if (to.is_float) @bitCast(within) else @intFromFloat(within));
            if (number + 1 < items.len) try to.bounds.append(gpa, one.bound);
        }
        try to.compact(side, if (to.is_float) 0 else 2);
        try to.check();
    }

    fn is_whole(count: f64) bool {
        return @round(count) == count and @abs(count) < 9.2e18;
    }
};

// --- protobuf

pub fn signed(number: u64) i64 {
    return @as(i64, @bitCast(number >> 1)) ^ -@as(i64, @intCast(number & 1));
}

fn zigzag(number: i64) u64 {
    return @bitCast((number << 1) ^ (number >> 63));
}

pub fn varint_bytes(number: u64) usize {
    return (64 - @clz(number | 1) + 6) / 7;
}

/// The size of a field with a tag of one byte.
pub fn text_bytes(size: usize) usize {
    return 1 + varint_bytes(size) + size;
}

pub fn put_varint(out: *Bytes, number: u64) Failure!void {
    var left = number;
    while (left >= 0x80) : (left >>= 7) try out.append(gpa, @as(u8, @truncate(left)) | 0x80);
    try out.append(gpa, @truncate(left));
}

/// A varint, or the size of what follows.
pub fn put_length(out: *Bytes, tag: u8, size: u64) Failure!void {
    try out.append(gpa, tag);
    try put_varint(out, size);
}

pub fn put_text(out: *Bytes, tag: u8, text: []const u8) Failure!void {
    try put_length(out, tag, text.len);
    try out.appendSlice(gpa, text);
}

fn put_fixed(out: *Bytes, tag: u8, bits: u64) Failure!void {
    try out.append(gpa, tag);
    try out.appendSlice(gpa, std.mem.asBytes(&bits));
}

pub const Field = struct {
    number: u64,
    wire: u3,
    /// Of a varint, fixed64 or fixed32.
    value: u64 = 0,
    /// Of bytes.
    content: []const u8 = "",

    pub fn double(self: Field) f64 {
        return if (self.wire == 1) @bitCast(self.value) else 0;
    }
};

pub const Wire = struct {
    bytes: []const u8,
    at: usize = 0,

    pub fn next(self: *Wire) Failure!?Field {
        if (self.at == self.bytes.len) return null;
        const tag = try self.varint();
        if (tag >> 3 == 0 or tag >> 32 != 0) return error.Refused;
        var field = Field{ .number = tag >> 3, .wire = @truncate(tag & 7) };
        switch (field.wire) {
            0 => field.value = try self.varint(),
            1 => field.value = std.mem.readInt(u64, (try self.take(8))[0..8], .little),
            2 => field.content = try self.take(try self.varint()),
            5 => field.value = std.mem.readInt(u32, (try self.take(4))[0..4], .little),
            else => return error.Refused,
        }
        return field;
    }

    pub fn varint(self: *Wire) Failure!u64 {
        var value: u64 = 0;
        for (0..10) |place| {
            if (self.at == self.bytes.len) return error.Refused;
            const byte = self.bytes[self.at];
            self.at += 1;
            if (place == 9 and byte > 1) return error.Refused;
            value |= @as(u64, byte & 0x7F) << @intCast(7 * place);
            if (byte < 0x80) return value;
        }
        return error.Refused;
    }

    pub fn take(self: *Wire, size: u64) Failure![]const u8 {
        if (size > self.bytes.len - self.at) return error.Refused;
        defer self.at += @intCast(size);
        return self.bytes[self.at..][0..@intCast(size)];
    }
};
