//! Ogg Opus (RFC 3533, RFC 7845): time is kept, damage stays where it is, memory is bounded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

mod common;

use common::{noise, samples, signal_to_noise_db, take, STRIDE};
use earhook_audio::ogg::{OggError, OggItem, OggReader, OggTally, OpusHead, MAX_LOST_SAMPLES};
use earhook_audio::opus::{packet_samples, OpusDecoder};
use proptest::prelude::*;

const CONTINUED: u8 = 1;
const BEGINS: u8 = 2;
const ENDS: u8 = 4;
const SERIAL: u32 = 7;
/// Nothing ends on this page.
const NO_GRANULE: u64 = u64::MAX;

/// A page written byte by byte, with a checksum computed bit by bit.
fn page(flags: u8, granule: u64, sequence: u32, packets: &[&[u8]]) -> Vec<u8> {
    let lacing: Vec<u8> = packets.iter().flat_map(|packet| lacing_of(packet.len())).collect();
    raw_page(flags, granule, (SERIAL, sequence), &lacing, &packets.concat())
}

fn lacing_of(length: usize) -> Vec<u8> {
    let mut values = vec![255; length / 255];
    values.push(u8::try_from(length % 255).unwrap());
    values
}

fn raw_page(flags: u8, granule: u64, place: (u32, u32), lacing: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = b"OggS\0".to_vec();
    bytes.push(flags);
    bytes.extend(granule.to_le_bytes());
    bytes.extend(place.0.to_le_bytes());
    bytes.extend(place.1.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.push(u8::try_from(lacing.len()).unwrap());
    bytes.extend(lacing);
    bytes.extend(body);
    let sum = checksum(&bytes);
    bytes[22..26].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |mut sum, &byte| {
        sum ^= u32::from(byte) << 24;
        for _ in 0..8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04C1_1DB7 } else { sum << 1 };
        }
        sum
    })
}

fn head(channels: u8, pre_skip: u16) -> Vec<u8> {
    let mut packet = b"OpusHead\x01".to_vec();
    packet.push(channels);
    packet.extend(pre_skip.to_le_bytes());
    packet.extend(16_000_u32.to_le_bytes());
    packet.extend((-256_i16).to_le_bytes());
    packet.push(0);
    packet
}

fn headers(pre_skip: u16) -> Vec<u8> {
    let tags = b"OpusTags\x07\0\0\0earhook\0\0\0\0".as_slice();
    [page(BEGINS, 0, 0, &[&head(1, pre_skip)]), page(0, 0, 1, &[tags])].concat()
}

/// 20 ms of CELT, marked so that packets can be told apart.
fn packet(mark: u8) -> Vec<u8> {
    vec![0xF8, mark, mark, mark]
}

/// A page of `count` packets of 20 ms, marked by its sequence number.
fn audio(flags: u8, granule: u64, sequence: u32, count: usize) -> Vec<u8> {
    let packet = packet(u8::try_from(sequence).unwrap());
    page(flags, granule, sequence, &vec![packet.as_slice(); count])
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Item {
    Head(usize),
    /// The packet's mark, and which of its samples count.
    Packet(u8, usize, usize),
    Lost(usize),
}

fn read_in(bytes: &[u8], cut: usize) -> (Vec<Item>, Result<(), OggError>, OggReader) {
    let mut items = Vec::new();
    let mut reader = OggReader::new();
    let mut keep = |item: OggItem<'_>| {
        items.push(match item {
            OggItem::Head(head) => Item::Head(head.channels),
            OggItem::Packet { packet, start, end } => {
                assert!(start <= end && end <= packet_samples(packet).unwrap());
                Item::Packet(packet.get(1).copied().unwrap_or(0), start, end)
            }
            OggItem::Lost(samples) => Item::Lost(samples),
            other => panic!("{other:?}"),
        });
    };
    let result = bytes.chunks(cut.max(1)).try_for_each(|piece| reader.feed(piece, &mut keep));
    (items, result, reader)
}

fn read(bytes: &[u8]) -> Vec<Item> {
    let (items, result, _) = read_in(bytes, bytes.len());
    result.unwrap();
    items
}

fn whole(mark: u8, count: usize) -> Vec<Item> {
    vec![Item::Packet(mark, 0, 960); count]
}

/// Samples per channel that the items stand for.
fn length(items: &[Item]) -> usize {
    items
        .iter()
        .map(|item| match item {
            Item::Head(_) => 0,
            Item::Packet(_, start, end) => end - start,
            Item::Lost(samples) => *samples,
        })
        .sum()
}

#[test]
fn what_opusenc_wrote_decodes_as_in_opusdec() {
    let files: [(&[u8], &[u8]); 2] = [
        (include_bytes!("data/mono.opus"), include_bytes!("data/mono.decoded")),
        (include_bytes!("data/stereo.opus"), include_bytes!("data/stereo.decoded")),
    ];
    for (channels, (file, mut reference)) in files.into_iter().enumerate() {
        let channels = channels + 1;
        let expected = common::little_endian(take(&mut reference, 4));
        let mut decoder = OpusDecoder::new(channels).unwrap();
        let mut out: Vec<i16> = Vec::new();
        let mut sink = |item: OggItem<'_>| match item {
            OggItem::Head(head) => {
                assert_eq!((head.channels, head.output_gain_q8), (channels, 0));
                assert_eq!((head.pre_skip > 0, head.original_rate), (true, 48_000));
            }
            OggItem::Packet { packet, start, end } => {
                let mut decoded = Vec::new();
                decoder.decode(packet, &mut decoded).unwrap();
                out.extend(&decoded[start * channels..end * channels]);
            }
            other => panic!("{other:?}"),
        };
        let mut reader = OggReader::new();
        reader.feed(file, &mut sink).unwrap();
        assert_eq!((reader.end(), reader.tally()), (0, OggTally::default()));
        assert_eq!(out.len(), expected * channels);
        assert_eq!(expected, 72_000, "1.5 s to the sample");
        let sampled: Vec<i16> = out.iter().step_by(STRIDE).copied().collect();
        let agreement = signal_to_noise_db(&samples(reference), &sampled);
        println!("{channels} channels: {agreement:.1} dB");
        assert!(agreement > 80.0, "{agreement:.1} dB");
    }
}

#[test]
fn the_head_is_told() {
    let mut heads = Vec::new();
    let mut sink = |item: OggItem<'_>| {
        if let OggItem::Head(head) = item {
            heads.push(head);
        }
    };
    OggReader::new().feed(&headers(312), &mut sink).unwrap();
    let expected =
        OpusHead { channels: 1, pre_skip: 312, original_rate: 16_000, output_gain_q8: -256 };
    assert_eq!(heads, [expected]);
}

#[test]
fn pre_skip_is_left_out_however_many_packets_it_takes() {
    let stream = [headers(2_000), audio(0, 4 * 960, 2, 4)].concat();
    let packets = [(960, 960), (960, 960), (80, 960), (0, 960)];
    let packets = packets.map(|(start, end)| Item::Packet(2, start, end));
    assert_eq!(read(&stream)[1..], packets);
}

#[test]
fn the_last_page_is_trimmed_to_its_position() {
    let stream = [headers(0), audio(0, 960, 2, 1), audio(ENDS, 2 * 960 + 5, 3, 4)].concat();
    let mut expected = vec![Item::Head(1)];
    expected.extend(whole(2, 1));
    expected.extend(whole(3, 1));
    expected.extend([Item::Packet(3, 0, 5), Item::Packet(3, 0, 0), Item::Packet(3, 0, 0)]);
    assert_eq!(read(&stream), expected);
    // One page that is the first and the last, and less than the pre-skip.
    let stream = [headers(100), audio(ENDS, 50, 2, 1)].concat();
    assert_eq!(read(&stream)[1..], [Item::Packet(2, 50, 50)]);
}

#[test]
fn lost_pages_are_as_long_as_positions_tell() {
    let pages = [
        headers(0),
        audio(0, 2 * 960, 2, 2),
        audio(0, 4 * 960, 3, 2),
        audio(0, 6 * 960, 4, 2),
        audio(ENDS, 8 * 960, 5, 2),
    ];
    for lost in [vec![2], vec![3], vec![2, 3]] {
        let mut left: Vec<_> = pages.iter().enumerate().collect();
        left.retain(|(index, _)| !lost.contains(index));
        let bytes: Vec<u8> = left.iter().flat_map(|(_, page)| page.iter().copied()).collect();
        let (items, result, reader) = read_in(&bytes, 100);
        result.unwrap();
        assert_eq!(length(&items), 8 * 960);
        assert!(items.contains(&Item::Lost(lost.len() * 2 * 960)));
        assert_eq!(reader.tally().lost_pages, lost.len() as u64);
    }
}

#[test]
fn any_flipped_bit_costs_at_most_its_page() {
    let before = [headers(0), audio(0, 960, 2, 1)].concat();
    let victim = audio(0, 3 * 960, 3, 2);
    let after = [audio(0, 5 * 960, 4, 2), audio(0, 6 * 960, 5, 1)].concat();
    for byte in 0..victim.len() {
        let mut damaged = victim.clone();
        damaged[byte] ^= 0x10;
        let (items, result, _) = read_in(&[&before[..], &damaged, &after].concat(), 7);
        result.unwrap();
        // A page that claims to be longer than it is hides what follows until more has come.
        assert!(items.starts_with(&[Item::Head(1), Item::Packet(2, 0, 960)]), "byte {byte}");
        assert!(!items.contains(&Item::Packet(3, 0, 960)), "byte {byte}");
        if items.len() > 2 {
            assert_eq!(items[2], Item::Lost(2 * 960), "byte {byte}");
            assert_eq!(length(&items), 6 * 960, "byte {byte}");
        }
    }
}

#[test]
fn bytes_between_pages_are_skipped_and_counted() {
    let stream = [
        headers(0),
        b"OggOgg".to_vec(),
        audio(0, 960, 2, 1),
        vec![0; 5_000],
        audio(0, 1_920, 3, 1),
    ]
    .concat();
    for cut in [1, 3, 1_000, 100_000] {
        let (items, result, reader) = read_in(&stream, cut);
        result.unwrap();
        assert_eq!(length(&items), 1_920);
        assert_eq!(reader.tally(), OggTally { skipped_bytes: 5_006, ..OggTally::default() });
    }
}

#[test]
fn a_repeated_page_counts_once() {
    let again = audio(0, 1_920, 2, 2);
    let stream = [headers(0), again.clone(), again, audio(0, 2_880, 3, 1)].concat();
    assert_eq!(length(&read(&stream)), 2_880);
}

#[test]
fn a_numbering_that_begins_anew_loses_nothing_that_came() {
    let stream = [headers(0), audio(0, 960, 202, 1), audio(0, 1_920, 2, 1), audio(0, 2_880, 3, 1)];
    let (items, result, reader) = read_in(&stream.concat(), 9_999);
    result.unwrap();
    assert_eq!(length(&items), 2_880);
    assert_eq!(reader.tally().lost_pages, 201);
}

#[test]
fn packets_go_on_over_pages() {
    let long = [&[0xF8, 9][..], &vec![5; 1_000]].concat();
    let (one, two) = long.split_at(510);
    let first = raw_page(0, NO_GRANULE, (SERIAL, 2), &[255, 255], one);
    let lacing = lacing_of(two.len());
    let second = raw_page(CONTINUED, 960, (SERIAL, 3), &lacing, two);
    let third = audio(0, 1_920, 4, 1);
    let stream = [headers(0), first.clone(), second.clone(), third.clone()].concat();
    let expected = [Item::Head(1), Item::Packet(9, 0, 960), Item::Packet(4, 0, 960)];
    assert_eq!(read(&stream), expected);

    // Without its beginning or its end the packet is lost, its time is not.
    for stream in [[headers(0), second, third.clone()], [headers(0), first, third]] {
        let items = read(&stream.concat());
        assert_eq!(items.last(), Some(&Item::Packet(4, 0, 960)));
        assert!(!items.contains(&Item::Packet(9, 0, 960)));
    }
}

#[test]
fn what_is_no_packet_is_counted_and_its_time_is_lost() {
    let stream = [headers(312), audio(0, 9_000_000, 50, 2), audio(0, 9_001_920, 51, 2)].concat();
    assert_eq!(length(&read(&stream)), 4 * 960 - 312);
}

#[test]
fn positions_that_were_rounded_lose_nothing() {
    let stream = [headers(0), audio(0, 940, 2, 1), audio(0, 1_967, 3, 1), audio(0, 2_880, 4, 1)];
    let items = read(&stream.concat());
    assert!(items.iter().all(|item| !matches!(item, Item::Lost(_))), "{items:?}");
    assert_eq!(length(&items), 2_880);
}

#[test]
fn positions_that_leap_are_not_filled() {
    let minute = MAX_LOST_SAMPLES as u64;
    for leap in [minute + 1, u64::MAX / 2, u64::MAX - 5_000] {
        let stream =
            [headers(0), audio(0, 960, 2, 1), audio(0, 1_920 + leap, 3, 1), audio(0, 5, 4, 1)];
        assert_eq!(length(&read(&stream.concat())), 3 * 960);
    }
    let stream = [headers(0), audio(0, 960, 2, 1), audio(0, 1_920 + minute, 3, 1)];
    assert_eq!(length(&read(&stream.concat())), 2 * 960 + MAX_LOST_SAMPLES);
}

#[test]
fn streams_are_chained() {
    let link = [headers(100), audio(ENDS, 960, 2, 1)].concat();
    let cut = [headers(100), audio(0, 960, 2, 1)].concat();
    for stream in [[&link[..], &link, &link].concat(), [&cut[..], &cut, &link].concat()] {
        let items = read(&stream);
        assert_eq!(items, [Item::Head(1), Item::Packet(2, 100, 960)].repeat(3));
    }
}

#[test]
fn of_multiplexed_streams_the_first_opus_is_read() {
    let other = |flags, sequence, body: &[u8]| {
        raw_page(flags, 0, (99, sequence), &lacing_of(body.len()), body)
    };
    let first = page(BEGINS, 0, 0, &[&head(1, 0)]);
    let tags = headers(0)[first.len()..].to_vec();
    let stream = [
        other(BEGINS, 0, b"\x80theora"),
        first,
        raw_page(BEGINS, 0, (100, 0), &lacing_of(19), &head(2, 0)),
        other(0, 1, b"something"),
        tags,
        audio(0, 960, 2, 1),
        other(ENDS, 2, b"more"),
        audio(ENDS, 1_920, 3, 1),
        other(0, 3, b"late"),
    ];
    let expected = [Item::Head(1), Item::Packet(2, 0, 960), Item::Packet(3, 0, 960)];
    assert_eq!(read(&stream.concat()), expected);
}

#[test]
fn what_is_no_ogg_opus_is_refused_by_name() {
    let vorbis = page(BEGINS, 0, 0, &[b"\x01vorbis rest"]);
    let begins = |packet: &[u8]| page(BEGINS, 0, 0, &[packet]);
    let mut family = head(2, 0);
    family[18] = 1;
    let mut version = head(1, 0);
    version[8] = 0x10;
    let good = begins(&head(1, 0));
    let cases: &[(&str, Vec<u8>, OggError)] = &[
        ("a WAV file", b"RIFF\x24\0\0\0WAVEfmt ".to_vec(), OggError::NotOgg),
        ("nearly Ogg", b"OggT".to_vec(), OggError::NotOgg),
        ("silence", vec![0xFF; 50], OggError::NotOgg),
        ("Vorbis", [vorbis.clone(), page(0, 0, 1, &[b"x"])].concat(), OggError::NotOpus),
        ("no beginning", audio(0, 960, 5, 1), OggError::NotOpus),
        ("a short head", begins(b"OpusHead\x01\x01"), OggError::MalformedHead),
        ("version 16", begins(&version), OggError::MalformedHead),
        ("no channels", begins(&head(0, 0)), OggError::MalformedHead),
        ("three channels", begins(&head(3, 0)), OggError::ChannelMapping),
        ("surround", begins(&family), OggError::ChannelMapping),
        ("no comments", [good.clone(), page(0, 0, 1, &[b"x"])].concat(), OggError::MalformedTags),
        (
            "audio behind comments",
            [good, page(0, 0, 1, &[b"OpusTags\0\0\0\0\0\0\0\0", &packet(1)])].concat(),
            OggError::MalformedTags,
        ),
    ];
    for (name, bytes, error) in cases {
        for cut in [1, 5, 1_000] {
            let (_, result, mut reader) = read_in(bytes, cut);
            assert_eq!(result, Err(*error), "{name} in pieces of {cut}");
            // And so it stays.
            let more = audio(0, 960, 2, 1);
            assert_eq!(reader.feed(&more, &mut |item| panic!("{item:?}")), Err(*error));
        }
    }
}

#[test]
fn comments_without_end_are_refused_and_not_kept() {
    let mut stream = page(BEGINS, 0, 0, &[&head(1, 0)]);
    stream.extend(raw_page(0, NO_GRANULE, (SERIAL, 1), &[255; 255], &tags_body()));
    let mut reader = OggReader::new();
    let mut fed = 0;
    let mut result = reader.feed(&stream, &mut |_| ());
    for sequence in 2.. {
        if result.is_err() {
            break;
        }
        let more = raw_page(CONTINUED, NO_GRANULE, (SERIAL, sequence), &[255; 255], &[0; 65_025]);
        fed += more.len();
        result = reader.feed(&more, &mut |_| ());
    }
    assert_eq!(result, Err(OggError::TagsTooLong));
    assert!(fed <= 17 * 65_307, "{fed}");
    assert_eq!(reader.end(), 0);
}

fn tags_body() -> Vec<u8> {
    let mut body = b"OpusTags\xFF\xFF\xFF\xFF".to_vec();
    body.resize(65_025, b'a');
    body
}

#[test]
fn long_comments_are_passed_over() {
    let mut stream = page(BEGINS, 0, 0, &[&head(1, 0)]);
    stream.extend(raw_page(0, NO_GRANULE, (SERIAL, 1), &[255; 255], &tags_body()));
    stream.extend(raw_page(CONTINUED, 0, (SERIAL, 2), &[3], b"end"));
    stream.extend(audio(0, 960, 3, 1));
    assert_eq!(read(&stream), [Item::Head(1), Item::Packet(3, 0, 960)]);
}

#[test]
fn a_packet_without_end_is_not_kept() {
    let mut reader = OggReader::new();
    reader.feed(&headers(0), &mut |_| ()).unwrap();
    for sequence in 2..40 {
        let flags = if sequence == 2 { 0 } else { CONTINUED };
        let more = raw_page(flags, NO_GRANULE, (SERIAL, sequence), &[255; 255], &[1; 65_025]);
        reader.feed(&more, &mut |item| panic!("{item:?}")).unwrap();
    }
    assert!(reader.end() < 62_000);
}

#[test]
fn headers_of_pages_that_never_come_true_end_it() {
    // Each promises the longest page, so that each would cost a checksum over 64 KiB.
    let lie = [b"OggS\0\0".as_slice(), &[0; 20], &[255; 256]].concat();
    let stream = [headers(0), lie.repeat(2_000)].concat();
    let (_, result, reader) = read_in(&stream, 10_000);
    assert_eq!(result, Err(OggError::NoPages));
    assert!(reader.tally().damaged_pages <= 33);
    let (_, result, _) = read_in(&[headers(0), vec![1; 200_000]].concat(), 10_000);
    assert_eq!(result, Err(OggError::NoPages));
}

#[test]
fn after_its_end_a_reader_is_new_and_remembers_what_was_wrong() {
    let mut reader = OggReader::new();
    let cut = [headers(0), b"noise".to_vec(), audio(0, 960, 2, 1)].concat();
    reader.feed(&cut[..cut.len() - 3], &mut |_| ()).unwrap();
    assert_eq!(reader.end(), audio(0, 960, 2, 1).len() - 3);
    let mut heads = 0;
    reader.feed(&headers(0), &mut |_| heads += 1).unwrap();
    assert_eq!((heads, reader.tally().skipped_bytes), (1, 5));
}

/// A stream of several links, with pages lost and packets over pages.
fn mixed_stream() -> Vec<u8> {
    let file = include_bytes!("data/stereo.opus").as_slice();
    [file, &headers(312), &audio(0, 1_920, 2, 2), &audio(ENDS, 5_000, 4, 2), file].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_cut_gives_the_same_items(cut in 1_usize..5_000) {
        let stream = mixed_stream();
        prop_assert_eq!(read_in(&stream, cut).0, read(&stream));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, cut in 1_usize..50) {
        let _ = read_in(&bytes, cut);
        let _ = read_in(&[&headers(0)[..], &bytes].concat(), cut);
    }

    #[test]
    fn pages_of_anything_are_read_or_refused(
        pages in prop::collection::vec(
            (0_u8..8, any::<u64>(), 0_u32..4, 0_u32..6, prop::collection::vec(any::<u8>(), 0..8)),
            0..12,
        ),
    ) {
        let mut stream = headers(312);
        for (flags, granule, serial, sequence, lacing) in pages {
            let length = lacing.iter().map(|&value| usize::from(value)).sum();
            let body = vec![0xF8; length];
            stream.extend(raw_page(flags, granule >> (granule % 64), (serial + 5, sequence), &lacing, &body));
        }
        let (items, _, reader) = read_in(&stream, 777);
        let _ = (length(&items), reader.tally());
    }

    #[test]
    fn a_damaged_stream_goes_on(seed: u64, hits in 1_usize..8) {
        let mut stream = mixed_stream();
        let mut next = noise(seed);
        for _ in 0..hits {
            let place = next() as usize % stream.len();
            stream[place] = u8::try_from(next() % 256).unwrap();
        }
        let _ = read_in(&stream, 1_000);
    }
}
