//! Samples of many series, packed, and range functions over them: chunks.py says what for.
//!
//! Compiled with bounds checks. The order of operations is Prometheus's, so that results are too.

const std = @import("std");

/// It keeps what is small: to give pages back at each question costs more than the question.
const room = std.heap.smp_allocator;

const samples_a_block = 256;
/// A block that has so many samples may end where scaled numbers and bits of floats meet.
const samples_before_turn = 32;
/// This exponent says that mantissas are the bits of values.
const is_bits: i8 = 127;
const scaled_max: i64 = 1 << 53;
const powers_of_10 = powers: {
    var powers: [19]i64 = undefined;
    for (&powers, 0..) |*power, exponent| power.* = std.math.pow(i64, 10, exponent);
    break :powers powers;
};
const stale_marker: u64 = 0x7FF0000000000002;
/// Of the mean distance of samples: so near an end is reached.
const near_share = 1.1;

/// Functions and aggregations by their numbers in chunks.py.
const Function = enum(u32) {
    newest,
    avg_over_time,
    changes,
    count_over_time,
    delta,
    idelta,
    increase,
    irate,
    last_over_time,
    max_over_time,
    min_over_time,
    rate,
    resets,
    sum_over_time,
};
const Aggregation = enum(u32) { none, avg, count, group, max, min, sum };

const Status = enum(u32) { ok, not_finite, out_of_memory };

/// Blocks of each series, one series behind the other: those of series n lie from offsets[n] on.
const Segment = extern struct {
    offsets: [*]const u32,
    series: usize,
    data: [*]const u8,

    fn blocks(self: Segment, series: usize) Blocks {
        if (series >= self.series) return .{ .left = &.{} };
        return .{ .left = self.data[self.offsets[series]..self.offsets[series + 1]] };
    }
};

/// What a block begins with. `count - 1` times follow, by what they differ from one interval more
/// than the one before, then as many mantissas, by what they differ from the one before; both as
/// integers of their width.
const Header = extern struct {
    first_ms: i64,
    last_ms: i64,
    first_mantissa: i64,
    interval_ms: i32,
    count: u16,
    time_width: Width,
    mantissa_width: Width,
    exponent: i8,
    unused: [7]u8 = @splat(0),

    fn size(self: Header) usize {
        const rest: usize = self.count - 1;
        return @sizeOf(Header) + rest * (self.time_width.bytes() + self.mantissa_width.bytes());
    }
};

const Width = enum(u8) {
    none,
    one,
    two,
    four,
    eight,

    fn of(least: i64, most: i64) Width {
        if (least == 0 and most == 0) return .none;
        if (least >= std.math.minInt(i8) and most <= std.math.maxInt(i8)) return .one;
        if (least >= std.math.minInt(i16) and most <= std.math.maxInt(i16)) return .two;
        if (least >= std.math.minInt(i32) and most <= std.math.maxInt(i32)) return .four;
        return .eight;
    }

    fn bytes(self: Width) usize {
        return switch (self) {
            .none => 0,
            .one => 1,
            .two => 2,
            .four => 4,
            .eight => 8,
        };
    }

    fn Integer(comptime self: Width) type {
        return switch (self) {
            .none => void,
            .one => i8,
            .two => i16,
            .four => i32,
            .eight => i64,
        };
    }
};

const Block = struct { header: Header, times: []const u8, mantissas: []const u8 };

const Blocks = struct {
    left: []const u8,

    fn next(self: *Blocks) ?Block {
        if (self.left.len == 0) return null;
        const header = std.mem.bytesToValue(Header, self.left[0..@sizeOf(Header)]);
        const rest: usize = header.count - 1;
        const size = header.size();
        const split = @sizeOf(Header) + rest * header.time_width.bytes();
        const block = Block{
            .header = header,
            .times = self.left[@sizeOf(Header)..split],
            .mantissas = self.left[split..size],
        };
        self.left = self.left[size..];
        return block;
    }
};

/// Integers that are each `step` more than the one before, and what a block says.
fn unpack(into: []i64, first: i64, step: i64, width: Width, packed_: []const u8) void {
    into[0] = first;
    var number = first;
    switch (width) {
        .none => for (into[1..]) |*next| {
            number +%= step;
            next.* = number;
        },
        inline else => |known| {
            const integers = std.mem.bytesAsSlice(known.Integer(), packed_);
            for (into[1..], integers) |*next, more| {
                number +%= step +% more;
                next.* = number;
            }
        },
    }
}

fn pack_integers(into: []u8, integers: []const i64, step: i64, width: Width) void {
    switch (width) {
        .none => {},
        inline else => |known| {
            const narrow = std.mem.bytesAsSlice(known.Integer(), into);
            for (narrow, integers[0 .. integers.len - 1], integers[1..]) |*more, before, number|
                more.* = @intCast(number -% before -% step);
        },
    }
}

fn value_of(mantissa: i64, exponent: i8) f64 {
    if (exponent == is_bits) return @bitCast(mantissa);
    if (exponent == 0) return @floatFromInt(mantissa);
    return @as(f64, @floatFromInt(mantissa)) / power_of_10(exponent);
}

fn power_of_10(exponent: i8) f64 {
    return @floatFromInt(powers_of_10[@intCast(exponent)]);
}

fn bits(value: f64) i64 {
    return @bitCast(value);
}

/// In the order of values, with what is no number at both ends. As samples.py.
fn rank(value: f64) i64 {
    const own = bits(value);
    return own ^ ((own >> 63) & std.math.maxInt(i64));
}

// --- packing

/// Samples as the store has them, of one series.
const Stored = struct {
    times_ms: []i64,
    mantissas: []i64,
    exponents: []i8,

    fn part(self: Stored, first: usize, end: usize) Stored {
        return .{
            .times_ms = self.times_ms[first..end],
            .mantissas = self.mantissas[first..end],
            .exponents = self.exponents[first..end],
        };
    }

    pub fn lessThan(self: Stored, one: usize, other: usize) bool {
        if (self.times_ms[one] != self.times_ms[other])
            return self.times_ms[one] < self.times_ms[other];
        return self.rank_of(one) < self.rank_of(other);
    }

    pub fn swap(self: Stored, one: usize, other: usize) void {
        std.mem.swap(i64, &self.times_ms[one], &self.times_ms[other]);
        std.mem.swap(i64, &self.mantissas[one], &self.mantissas[other]);
        std.mem.swap(i8, &self.exponents[one], &self.exponents[other]);
    }

    fn keep(self: Stored, into: usize, from: usize) void {
        self.times_ms[into] = self.times_ms[from];
        self.mantissas[into] = self.mantissas[from];
        self.exponents[into] = self.exponents[from];
    }

    fn rank_of(self: Stored, place: usize) i64 {
        return rank(value_of(self.mantissas[place], self.exponents[place]));
    }
};

/// By time, of several at one time the greatest. Returns how many are left.
fn once_a_time(samples: anytype) usize {
    const count = samples.times_ms.len;
    if (is_ascending(samples.times_ms)) return count;
    std.sort.pdqContext(0, count, samples);
    var kept: usize = 0;
    for (1..count) |place| {
        if (samples.times_ms[place] != samples.times_ms[kept]) kept += 1;
        samples.keep(kept, place);
    }
    return kept + 1;
}

fn is_ascending(times_ms: []const i64) bool {
    if (times_ms.len < 2) return true;
    for (times_ms[0 .. times_ms.len - 1], times_ms[1..]) |before, after| {
        if (before >= after) return false;
    }
    return true;
}

const Writer = struct {
    out: []u8,
    size: usize = 0,

    /// Samples in order, none at the same time as another; they are used up.
    fn series(self: *Writer, samples: Stored) void {
        var first: usize = 0;
        while (first < samples.times_ms.len) {
            const end = block_end(samples, first);
            self.block(samples.part(first, end));
            first = end;
        }
    }

    fn block(self: *Writer, samples: Stored) void {
        const exponent = to_one_exponent(samples);
        const times_ms = samples.times_ms;
        const count = times_ms.len;
        const gap_ms = if (count > 1) times_ms[1] - times_ms[0] else 0;
        const interval_ms = std.math.cast(i32, gap_ms) orelse 0;
        const header = Header{
            .first_ms = times_ms[0],
            .last_ms = times_ms[count - 1],
            .first_mantissa = samples.mantissas[0],
            .interval_ms = interval_ms,
            .count = @intCast(count),
            .time_width = width_of(times_ms, interval_ms),
            .mantissa_width = width_of(samples.mantissas, 0),
            .exponent = exponent,
        };
        const into = self.out[self.size..][0..header.size()];
        @memcpy(into[0..@sizeOf(Header)], std.mem.asBytes(&header));
        const split = @sizeOf(Header) + (count - 1) * header.time_width.bytes();
        pack_integers(into[@sizeOf(Header)..split], times_ms, interval_ms, header.time_width);
        pack_integers(into[split..], samples.mantissas, 0, header.mantissa_width);
        self.size += into.len;
    }
};

fn block_end(samples: Stored, first: usize) usize {
    const most = @min(first + samples_a_block, samples.times_ms.len);
    const is_of_bits = samples.exponents[first] == is_bits;
    for (first..most) |place| {
        const turns = (samples.exponents[place] == is_bits) != is_of_bits;
        if (turns and place >= first + samples_before_turn) return place;
    }
    return most;
}

/// Brings all mantissas of a block under the largest of their exponents if each stays exact, else
/// they become bits.
fn to_one_exponent(samples: Stored) i8 {
    const exponents = samples.exponents;
    const most = std.mem.max(i8, exponents);
    if (std.mem.allEqual(i8, exponents, most)) return most;
    const fits = most != is_bits and for (samples.mantissas, exponents) |mantissa, exponent| {
        if (@abs(mantissa) > @divFloor(scaled_max, powers_of_10[@intCast(most - exponent)]))
            break false;
    } else true;
    for (samples.mantissas, exponents) |*mantissa, exponent| {
        mantissa.* = if (fits)
            mantissa.* * powers_of_10[@intCast(most - exponent)]
        else
            bits(value_of(mantissa.*, exponent));
    }
    return if (fits) most else is_bits;
}

fn width_of(integers: []const i64, step: i64) Width {
    var least: i64 = 0;
    var most: i64 = 0;
    for (integers[0 .. integers.len - 1], integers[1..]) |before, number| {
        const more = number -% before -% step;
        least = @min(least, more);
        most = @max(most, more);
    }
    return Width.of(least, most);
}

/// Rows of the store, in any order, as one segment. `known` are the identities in ascending order,
/// `places` says which series each is; rows of others are left out. Returns how large the data is
/// in `out`, which has room for all samples as they are; the greatest number if memory is short, or
/// an exponent is none.
export fn pack(
    known: [*]const u64,
    places: [*]const u32,
    known_count: usize,
    series: usize,
    ids: [*]const u64,
    times_ms: [*]const i64,
    mantissas: [*]const i64,
    exponents: [*]const i8,
    rows: usize,
    offsets: [*]u32,
    out: [*]u8,
    out_size: usize,
) usize {
    return pack_rows(
        known[0..known_count],
        places[0..known_count],
        .{ .ids = ids, .times_ms = times_ms, .mantissas = mantissas, .exponents = exponents },
        rows,
        offsets[0 .. series + 1],
        out[0..out_size],
    ) catch std.math.maxInt(usize);
}

const Rows = struct {
    ids: [*]const u64,
    times_ms: [*]const i64,
    mantissas: [*]const i64,
    exponents: [*]const i8,
};

fn pack_rows(
    known: []const u64,
    places: []const u32,
    rows: Rows,
    count: usize,
    offsets: []u32,
    out: []u8,
) !usize {
    const series = offsets.len - 1;
    const nobody = std.math.maxInt(u32);
    const place_of = try room.alloc(u32, count);
    defer room.free(place_of);
    const ends = try room.alloc(usize, series + 1);
    defer room.free(ends);
    @memset(ends, 0);
    var id: u64 = 0;
    var place: u32 = nobody;
    for (rows.ids[0..count], place_of, 0..) |own, *into, row| {
        if (row == 0 or own != id) {
            id = own;
            place = if (std.sort.binarySearch(u64, known, own, order)) |n| places[n] else nobody;
        }
        into.* = place;
        if (place != nobody) ends[place] += 1;
    }
    var total: usize = 0;
    for (ends) |*end| {
        total += end.*;
        end.* = total - end.*;
    }
    const stored = Stored{
        .times_ms = try room.alloc(i64, total),
        .mantissas = try room.alloc(i64, total),
        .exponents = try room.alloc(i8, total),
    };
    defer room.free(stored.times_ms);
    defer room.free(stored.mantissas);
    defer room.free(stored.exponents);
    for (place_of, 0..) |own, row| {
        if (own == nobody) continue;
        const exponent = rows.exponents[row];
        if (exponent != is_bits and (exponent < 0 or exponent >= powers_of_10.len))
            return error.NoSuchExponent;
        const at = ends[own];
        ends[own] += 1;
        stored.times_ms[at] = rows.times_ms[row];
        stored.mantissas[at] = rows.mantissas[row];
        stored.exponents[at] = exponent;
    }
    var writer = Writer{ .out = out };
    var first: usize = 0;
    for (offsets[0..series], ends[0..series]) |*offset, end| {
        offset.* = @intCast(writer.size);
        const own = stored.part(first, end);
        writer.series(own.part(0, once_a_time(own)));
        first = end;
    }
    offsets[series] = @intCast(writer.size);
    return writer.size;
}

fn order(sought: u64, own: u64) std.math.Order {
    return std.math.order(sought, own);
}

/// All that is later than `after_ms` in several segments as one. As pack().
export fn merge(
    segments: [*]const Segment,
    segment_count: usize,
    series: usize,
    after_ms: i64,
    offsets: [*]u32,
    out: [*]u8,
    out_size: usize,
) usize {
    var scratch = Scratch(Stored){};
    defer scratch.free();
    var writer = Writer{ .out = out[0..out_size] };
    for (0..series) |place| {
        offsets[place] = @intCast(writer.size);
        const from = segments[0..segment_count];
        const found = scratch.read(from, place, after_ms, std.math.maxInt(i64)) catch
            return std.math.maxInt(usize);
        writer.series(found);
    }
    offsets[series] = @intCast(writer.size);
    return writer.size;
}

// --- reading

/// Samples of one series as numbers.
const Samples = struct {
    times_ms: []i64,
    values: []f64,

    fn part(self: Samples, first: usize, end: usize) Samples {
        return .{ .times_ms = self.times_ms[first..end], .values = self.values[first..end] };
    }

    pub fn lessThan(self: Samples, one: usize, other: usize) bool {
        if (self.times_ms[one] != self.times_ms[other])
            return self.times_ms[one] < self.times_ms[other];
        return rank(self.values[one]) < rank(self.values[other]);
    }

    pub fn swap(self: Samples, one: usize, other: usize) void {
        std.mem.swap(i64, &self.times_ms[one], &self.times_ms[other]);
        std.mem.swap(f64, &self.values[one], &self.values[other]);
    }

    fn keep(self: Samples, into: usize, from: usize) void {
        self.times_ms[into] = self.times_ms[from];
        self.values[into] = self.values[from];
    }
};

/// Room for the samples of one series after the other.
fn Scratch(comptime Kind: type) type {
    return struct {
        all: Kind = empty: {
            var none: Kind = undefined;
            for (std.meta.fieldNames(Kind)) |name| @field(none, name) = &.{};
            break :empty none;
        },
        /// Whether any sample read last is of bits, and so may be anything that a float can be.
        has_bits: bool = false,

        const Self = @This();

        fn free(self: *Self) void {
            inline for (comptime std.meta.fieldNames(Kind)) |name| room.free(@field(self.all, name));
        }

        fn reserve(self: *Self, count: usize) !void {
            if (count <= self.all.times_ms.len) return;
            const size = @max(count, 2 * self.all.times_ms.len, 512);
            inline for (comptime std.meta.fieldNames(Kind)) |name|
                @field(self.all, name) = try room.realloc(@field(self.all, name), size);
        }

        /// Those of (after_ms, until_ms], in order, none at the same time as another.
        fn read(
            self: *Self,
            segments: []const Segment,
            series: usize,
            after_ms: i64,
            until_ms: i64,
        ) !Kind {
            var count: usize = 0;
            self.has_bits = false;
            for (segments) |segment| {
                var blocks = segment.blocks(series);
                while (blocks.next()) |block| {
                    const header = block.header;
                    if (header.last_ms <= after_ms or header.first_ms > until_ms) continue;
                    try self.reserve(count + header.count);
                    fill_block(self.all.part(count, count + header.count), block);
                    self.has_bits = self.has_bits or header.exponent == is_bits;
                    count += header.count;
                }
            }
            const all = self.all.part(0, count);
            const found = all.part(0, once_a_time(all));
            var first: usize = 0;
            var end = found.times_ms.len;
            while (first < end and found.times_ms[first] <= after_ms) first += 1;
            while (end > first and found.times_ms[end - 1] > until_ms) end -= 1;
            return found.part(first, end);
        }
    };
}

fn fill_block(into: anytype, block: Block) void {
    const header = block.header;
    unpack(into.times_ms, header.first_ms, header.interval_ms, header.time_width, block.times);
    const first = header.first_mantissa;
    if (@TypeOf(into) == Stored) {
        unpack(into.mantissas, first, 0, header.mantissa_width, block.mantissas);
        @memset(into.exponents, header.exponent);
        return;
    }
    // Mantissas and values are of one size: the ones are made of the others where they lie.
    const mantissas: []i64 = @ptrCast(into.values);
    unpack(mantissas, first, 0, header.mantissa_width, block.mantissas);
    switch (header.exponent) {
        is_bits => {},
        0 => for (into.values, mantissas) |*value, mantissa| {
            value.* = @floatFromInt(mantissa);
        },
        else => {
            const power = power_of_10(header.exponent);
            for (into.values, mantissas) |*value, mantissa|
                value.* = @as(f64, @floatFromInt(mantissa)) / power;
        },
    }
}

/// How many samples there are, at most, of these series in (after_ms, until_ms].
export fn count_samples(
    segments: [*]const Segment,
    segment_count: usize,
    places: [*]const u32,
    count: usize,
    after_ms: i64,
    until_ms: i64,
) usize {
    var samples: usize = 0;
    for (segments[0..segment_count]) |segment| {
        for (places[0..count]) |place| {
            var blocks = segment.blocks(place);
            while (blocks.next()) |block| {
                const header = block.header;
                if (header.last_ms > after_ms and header.first_ms <= until_ms)
                    samples += header.count;
            }
        }
    }
    return samples;
}

/// Samples of these series, one series behind the other; `ends` says where each ends.
export fn read(
    segments: [*]const Segment,
    segment_count: usize,
    places: [*]const u32,
    count: usize,
    after_ms: i64,
    until_ms: i64,
    ends: [*]u64,
    times_ms: [*]i64,
    values: [*]f64,
) Status {
    var scratch = Scratch(Samples){};
    defer scratch.free();
    var size: usize = 0;
    for (places[0..count], ends) |place, *end| {
        const found = scratch.read(segments[0..segment_count], place, after_ms, until_ms) catch
            return .out_of_memory;
        @memcpy(times_ms[size..][0..found.times_ms.len], found.times_ms);
        @memcpy(values[size..][0..found.values.len], found.values);
        size += found.times_ms.len;
        end.* = size;
    }
    return .ok;
}

// --- grids

const Question = extern struct {
    first_ms: i64,
    step_ms: i64,
    range_ms: i64,
    steps: usize,
    function: Function,
    aggregation: Aggregation,
    /// Whether a sample that is not finite ends it.
    is_finite: bool,
};

/// [group, step]. `lost` is what sums have rounded off, `counts` the series that are in.
const Totals = extern struct {
    values: [*]f64,
    lost: [*]f64,
    counts: [*]u32,
};

/// Compute the grid of each series and put it into its group.
export fn fold(
    question: *const Question,
    segments: [*]const Segment,
    segment_count: usize,
    places: [*]const u32,
    groups: [*]const u32,
    count: usize,
    totals: *const Totals,
) Status {
    var scratch = Scratch(Samples){};
    defer scratch.free();
    var turns: []u32 = &.{};
    defer room.free(turns);
    const after_ms = question.first_ms -| question.range_ms;
    const steps_ms = question.step_ms * @as(i64, @intCast(question.steps - 1));
    for (places[0..count], groups) |place, group| {
        const until_ms = question.first_ms + steps_ms;
        var samples = scratch.read(segments[0..segment_count], place, after_ms, until_ms) catch
            return .out_of_memory;
        if (scratch.has_bits) {
            if (question.function != .newest) samples = without_stale_markers(samples);
            if (question.is_finite and !are_finite(samples.values)) return .not_finite;
        }
        if (turns.len < samples.times_ms.len) {
            const size = scratch.all.times_ms.len;
            turns = room.realloc(turns, size) catch return .out_of_memory;
        }
        const first = group * question.steps;
        const row = Row{
            .aggregation = question.aggregation,
            .values = totals.values[first..][0..question.steps],
            .lost = totals.lost[first..][0..question.steps],
            .counts = totals.counts[first..][0..question.steps],
        };
        switch (question.function) {
            inline else => |function| fill(function, question, samples, row, turns),
        }
    }
    return .ok;
}

fn without_stale_markers(samples: Samples) Samples {
    var kept: usize = 0;
    for (samples.values, 0..) |value, place| {
        if (@as(u64, @bitCast(value)) == stale_marker) continue;
        samples.keep(kept, place);
        kept += 1;
    }
    return samples.part(0, kept);
}

/// Stale markers aside.
fn are_finite(values: []const f64) bool {
    for (values) |value| {
        if (!std.math.isFinite(value) and @as(u64, @bitCast(value)) != stale_marker) return false;
    }
    return true;
}

fn fill(
    comptime function: Function,
    question: *const Question,
    samples: Samples,
    row: Row,
    turns: []u32,
) void {
    var window = Window{
        .samples = samples,
        .turns = turns_of(function, samples.values, turns),
        .range_ms = question.range_ms,
    };
    for (0..question.steps) |step| {
        window.move(question.first_ms + @as(i64, @intCast(step)) * question.step_ms);
        if (window.value(function)) |value| row.add(step, value);
    }
}

/// Places of samples that a counter was set back at, or that differ from the one before.
fn turns_of(comptime function: Function, values: []const f64, into: []u32) []const u32 {
    switch (function) {
        .increase, .rate, .resets, .changes => {},
        else => return &.{},
    }
    var count: usize = 0;
    for (1..@max(values.len, 1)) |place| {
        const before = values[place - 1];
        const is_turn = if (function == .changes)
            values[place] != before and
                !(std.math.isNan(values[place]) and std.math.isNan(before))
        else
            values[place] < before;
        if (is_turn) {
            into[count] = @intCast(place);
            count += 1;
        }
    }
    return into[0..count];
}

/// The samples first <= n < end of (moment_ms - range_ms, moment_ms].
const Window = struct {
    samples: Samples,
    turns: []const u32,
    range_ms: i64,
    moment_ms: i64 = 0,
    first: usize = 0,
    end: usize = 0,
    turns_first: usize = 0,
    turns_end: usize = 0,
    reach: Reach = .{},
    /// Place of the greatest or least of all before `seen_end`.
    extreme: usize = 0,
    seen_end: usize = 0,

    fn move(self: *Window, moment_ms: i64) void {
        const times_ms = self.samples.times_ms;
        self.moment_ms = moment_ms;
        while (self.end < times_ms.len and times_ms[self.end] <= moment_ms) self.end += 1;
        const start_ms = moment_ms -| self.range_ms;
        while (self.first < self.end and times_ms[self.first] <= start_ms) self.first += 1;
        const turns = self.turns;
        while (self.turns_end < turns.len and turns[self.turns_end] < self.end)
            self.turns_end += 1;
        while (self.turns_first < self.turns_end and turns[self.turns_first] <= self.first)
            self.turns_first += 1;
    }

    fn value(self: *Window, comptime function: Function) ?f64 {
        const values = self.samples.values[self.first..self.end];
        if (values.len == 0) return null;
        const last = values[values.len - 1];
        return switch (function) {
            .newest => if (@as(u64, @bitCast(last)) == stale_marker) null else last,
            .last_over_time => last,
            .count_over_time => @floatFromInt(values.len),
            .changes, .resets => @floatFromInt(self.turns_end - self.turns_first),
            .max_over_time, .min_over_time => self.extreme_value(function == .max_over_time),
            .sum_over_time => sum_of(values).total(),
            .avg_over_time => sum_of(values).mean(values.len),
            .delta, .increase => self.rise(function != .delta, 1),
            .rate => self.rise(true, seconds(self.range_ms)),
            .idelta, .irate => self.last_step(function == .irate),
        };
    }

    /// Only what is new is looked at, until the one that was it has left the window.
    fn extreme_value(self: *Window, comptime is_max: bool) f64 {
        const values = self.samples.values;
        if (self.seen_end == 0 or self.extreme < self.first) {
            self.extreme = self.first;
            self.seen_end = self.first + 1;
        }
        for (self.seen_end..self.end) |place| {
            const own = values[place];
            const most = values[self.extreme];
            if (if (is_max) own >= most else own <= most) self.extreme = place;
        }
        self.seen_end = self.end;
        return values[self.extreme];
    }

    fn rise(self: *Window, comptime is_counter: bool, per_s: f64) ?f64 {
        const count = self.end - self.first;
        if (count < 2) return null;
        const first_ms = self.samples.times_ms[self.first];
        const last_ms = self.samples.times_ms[self.end - 1];
        const begun = self.samples.values[self.first];
        var rises = self.samples.values[self.end - 1] - begun;
        if (is_counter) for (self.turns[self.turns_first..self.turns_end]) |place| {
            rises += self.samples.values[place - 1];
        };
        const shape = Shape{
            .count = count,
            .sampled_ms = last_ms - first_ms,
            .to_start_ms = first_ms - (self.moment_ms - self.range_ms),
        };
        if (!std.meta.eql(shape, self.reach.shape)) self.reach = Reach.of(shape, self.range_ms, per_s);
        const reach = &self.reach;
        if (is_counter and rises > 0 and begun >= 0) {
            // A division of each is only worth it where zero is about as near as the start.
            const is_far = begun * reach.sampled_s > 1.001 * reach.to_start_s * rises;
            if (!is_far) {
                const to_zero_s = reach.sampled_s * (begun / rises);
                if (to_zero_s < reach.to_start_s) return rises * reach.factor(to_zero_s, per_s);
            }
        }
        return rises * reach.usual;
    }

    fn last_step(self: *const Window, comptime is_counter: bool) ?f64 {
        if (self.end - self.first < 2) return null;
        const newest = self.samples.values[self.end - 1];
        const before = self.samples.values[self.end - 2];
        if (!is_counter) return newest - before;
        const times_ms = self.samples.times_ms;
        const took_s = seconds(times_ms[self.end - 1] - times_ms[self.end - 2]);
        return (if (newest < before) newest else newest - before) / took_s;
    }
};

/// How samples lie in a window: where scrapes are regular it is the same at each step.
const Shape = struct { count: usize = 0, sampled_ms: i64 = 0, to_start_ms: i64 = 0 };

/// How far a rise is extrapolated.
const Reach = struct {
    shape: Shape = .{},
    sampled_s: f64 = 0,
    to_start_s: f64 = 0,
    to_end_s: f64 = 0,
    usual: f64 = 0,

    fn of(shape: Shape, range_ms: i64, per_s: f64) Reach {
        const sampled_s = seconds(shape.sampled_ms);
        const gap_s = sampled_s / @as(f64, @floatFromInt(shape.count - 1));
        const to_end_ms = range_ms - shape.to_start_ms - shape.sampled_ms;
        var reach = Reach{
            .shape = shape,
            .sampled_s = sampled_s,
            .to_start_s = reached(seconds(shape.to_start_ms), gap_s),
            .to_end_s = reached(seconds(to_end_ms), gap_s),
        };
        reach.usual = reach.factor(reach.to_start_s, per_s);
        return reach;
    }

    fn factor(self: Reach, to_start_s: f64, per_s: f64) f64 {
        return (self.sampled_s + to_start_s + self.to_end_s) / self.sampled_s / per_s;
    }
};

fn seconds(time_ms: i64) f64 {
    return @as(f64, @floatFromInt(time_ms)) / 1000;
}

fn reached(to_border_s: f64, gap_s: f64) f64 {
    return if (to_border_s >= gap_s * near_share) gap_s / 2 else to_border_s;
}

/// A sum, and what it has rounded off (Neumaier).
const Sum = struct {
    sum: f64 = 0,
    lost: f64 = 0,

    fn add(self: *Sum, term: f64) void {
        const added = self.sum + term;
        if (std.math.isInf(added)) {
            self.lost = 0;
        } else if (@abs(self.sum) >= @abs(term)) {
            self.lost += (self.sum - added) + term;
        } else {
            self.lost += (term - added) + self.sum;
        }
        self.sum = added;
    }

    fn total(self: Sum) f64 {
        return if (std.math.isInf(self.sum)) self.sum else self.sum + self.lost;
    }

    fn mean(self: Sum, count: usize) f64 {
        const terms: f64 = @floatFromInt(count);
        return self.sum / terms + self.lost / terms;
    }
};

fn sum_of(values: []const f64) Sum {
    var sum = Sum{};
    for (values) |value| sum.add(value);
    return sum;
}

/// Of one group.
const Row = struct {
    aggregation: Aggregation,
    values: []f64,
    lost: []f64,
    counts: []u32,

    fn add(self: Row, step: usize, value: f64) void {
        const total = &self.values[step];
        defer self.counts[step] += 1;
        if (self.counts[step] == 0) {
            total.* = value;
            return;
        }
        switch (self.aggregation) {
            .none, .count, .group => {},
            .max => total.* = @max(total.*, value),
            .min => total.* = @min(total.*, value),
            .avg, .sum => {
                var sum = Sum{ .sum = total.*, .lost = self.lost[step] };
                sum.add(value);
                total.* = sum.sum;
                self.lost[step] = sum.lost;
            },
        }
    }
};
