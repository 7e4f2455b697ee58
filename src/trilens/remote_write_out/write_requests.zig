//! Rows of samples as requests of remote write: write_requests.py says what for.
//!
//! Compiled with bounds checks. Rows of one series stand together; each run of them is a TimeSeries.

const std = @import("std");

const value_tag = 1 << 3 | 1;
const time_tag = 2 << 3;
const start_tag = 3 << 3;
const samples_tag = 2 << 3 | 2;

/// As Rows of write_requests.py: one sample a row.
const Rows = extern struct {
    places: [*]const u32,
    times_ms: [*]const i64,
    starts_ms: [*]const i64,
    values: [*]const u64,
    count: usize,

    fn run_end(rows: *const Rows, start: usize) usize {
        var end = start + 1;
        while (end < rows.count and rows.places[end] == rows.places[start]) end += 1;
        return end;
    }
};

const Out = struct {
    bytes: []u8,
    at: usize = 0,

    fn byte(out: *Out, value: u8) void {
        out.bytes[out.at] = value;
        out.at += 1;
    }

    fn varint(out: *Out, number: u64) void {
        var left = number;
        while (left > 127) : (left >>= 7) out.byte(@as(u8, @truncate(left)) | 128);
        out.byte(@truncate(left));
    }

    fn piece(out: *Out, bytes: []const u8) void {
        @memcpy(out.bytes[out.at..][0..bytes.len], bytes);
        out.at += bytes.len;
    }
};

fn varint_bytes(number: u64) usize {
    return if (number < 128) 1 else (@as(usize, 70) - @clz(number)) / 7;
}

fn sample_bytes(rows: *const Rows, row: usize, has_starts: bool) usize {
    const start: u64 = @bitCast(rows.starts_ms[row]);
    const extra = if (has_starts and start != 0) 1 + varint_bytes(start) else 0;
    return 10 + varint_bytes(@bitCast(rows.times_ms[row])) + extra;
}

/// With the tag and the length of each.
fn samples_bytes(rows: *const Rows, start: usize, end: usize, has_starts: bool) usize {
    var size: usize = 0;
    for (start..end) |row| size += 2 + sample_bytes(rows, row, has_starts);
    return size;
}

fn write_samples(out: *Out, rows: *const Rows, start: usize, end: usize, has_starts: bool) void {
    for (start..end) |row| {
        out.byte(samples_tag);
        out.byte(@intCast(sample_bytes(rows, row, has_starts)));
        out.byte(value_tag);
        out.piece(std.mem.asBytes(&rows.values[row]));
        out.byte(time_tag);
        out.varint(@bitCast(rows.times_ms[row]));
        const begun: u64 = @bitCast(rows.starts_ms[row]);
        if (has_starts and begun != 0) {
            out.byte(start_tag);
            out.varint(begun);
        }
    }
}

/// prometheus.WriteRequest. The labels of series n, as fields of TimeSeries, are
/// labels[starts[n]..starts[n + 1]]. Returns the size.
export fn write_v1(rows: *const Rows, labels: [*]const u8, starts: [*]const u64, bytes: [*]u8, room: usize) usize {
    var out = Out{ .bytes = bytes[0..room] };
    var row: usize = 0;
    while (row < rows.count) {
        const end = rows.run_end(row);
        const place = rows.places[row];
        const own = labels[starts[place]..starts[place + 1]];
        out.byte(1 << 3 | 2);
        out.varint(own.len + samples_bytes(rows, row, end, false));
        out.piece(own);
        write_samples(&out, rows, row, end, false);
        row = end;
    }
    return out.at;
}

/// As Symbols of write_requests.py. What series n says is numbers[starts[n]..starts[n + 1]]: its
/// type, the symbols of help and unit, then of names and values of its labels. `local` has a zero
/// for each symbol.
const Symbols = extern struct {
    numbers: [*]const u32,
    starts: [*]const u64,
    text: [*]const u8,
    text_starts: [*]const u64,
    local: [*]u32,
    count: usize,

    fn add(symbols: *const Symbols, out: *Out, symbol: u32, next: *u32) void {
        std.debug.assert(symbol < symbols.count);
        if (symbol == 0 or symbols.local[symbol] != 0) return;
        symbols.local[symbol] = next.*;
        next.* += 1;
        const text = symbols.text[symbols.text_starts[symbol]..symbols.text_starts[symbol + 1]];
        out.byte(4 << 3 | 2);
        out.varint(text.len);
        out.piece(text);
    }
};

/// io.prometheus.write.v2.Request. Returns the size.
export fn write_v2(rows: *const Rows, symbols: *const Symbols, bytes: [*]u8, room: usize) usize {
    var out = Out{ .bytes = bytes[0..room] };
    out.byte(4 << 3 | 2);
    out.byte(0);
    var next: u32 = 1;
    var row: usize = 0;
    while (row < rows.count) : (row = rows.run_end(row)) {
        const place = rows.places[row];
        const own = symbols.numbers[symbols.starts[place] + 1 .. symbols.starts[place + 1]];
        for (own) |symbol| symbols.add(&out, symbol, &next);
    }
    row = 0;
    while (row < rows.count) {
        const end = rows.run_end(row);
        write_series(&out, rows, symbols, row, end);
        row = end;
    }
    return out.at;
}

fn write_series(out: *Out, rows: *const Rows, symbols: *const Symbols, row: usize, end: usize) void {
    const place = rows.places[row];
    const own = symbols.numbers[symbols.starts[place]..symbols.starts[place + 1]];
    const help, const unit = .{ symbols.local[own[1]], symbols.local[own[2]] };
    var refs_bytes: usize = 0;
    for (own[3..]) |symbol| refs_bytes += varint_bytes(symbols.local[symbol]);
    const about_bytes = 3 + varint_bytes(own[0]) + varint_bytes(help) + varint_bytes(unit);
    out.byte(5 << 3 | 2);
    out.varint(1 + varint_bytes(refs_bytes) + refs_bytes + samples_bytes(rows, row, end, true) +
        2 + about_bytes);
    out.byte(1 << 3 | 2);
    out.varint(refs_bytes);
    for (own[3..]) |symbol| out.varint(symbols.local[symbol]);
    write_samples(out, rows, row, end, true);
    out.byte(5 << 3 | 2);
    out.byte(@intCast(about_bytes));
    for ([_]u8{ 1 << 3, 3 << 3, 4 << 3 }, [_]u32{ own[0], help, unit }) |tag, number| {
        out.byte(tag);
        out.varint(number);
    }
}
