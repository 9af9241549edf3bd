//! The opcodes of pickle protocols 2 to 5 that describe data. Whatever is not here is refused.

pub(super) const PROTO: u8 = 0x80;
pub(super) const FRAME: u8 = 0x95;
pub(super) const STOP: u8 = b'.';

pub(super) const NONE: u8 = b'N';
pub(super) const TRUE: u8 = 0x88;
pub(super) const FALSE: u8 = 0x89;
pub(super) const INT32: u8 = b'J';
pub(super) const UINT8: u8 = b'K';
pub(super) const UINT16: u8 = b'M';
pub(super) const LONG1: u8 = 0x8a;
pub(super) const LONG4: u8 = 0x8b;
pub(super) const FLOAT: u8 = b'G';
/// Text, with its length in 1, 4 or 8 bytes.
pub(super) const TEXT1: u8 = 0x8c;
pub(super) const TEXT4: u8 = b'X';
pub(super) const TEXT8: u8 = 0x8d;
/// The text of Python 2, with its length in 1 or 4 bytes.
pub(super) const STRING1: u8 = b'U';
pub(super) const STRING4: u8 = b'T';
pub(super) const BYTES1: u8 = b'C';
pub(super) const BYTES4: u8 = b'B';
pub(super) const BYTES8: u8 = 0x8e;
pub(super) const BYTE_ARRAY8: u8 = 0x96;

pub(super) const MARK: u8 = b'(';
pub(super) const POP: u8 = b'0';
pub(super) const POP_MARK: u8 = b'1';
pub(super) const DUP: u8 = b'2';

pub(super) const EMPTY_LIST: u8 = b']';
pub(super) const EMPTY_TUPLE: u8 = b')';
pub(super) const EMPTY_DICT: u8 = b'}';
pub(super) const EMPTY_SET: u8 = 0x8f;
pub(super) const LIST: u8 = b'l';
pub(super) const TUPLE: u8 = b't';
pub(super) const TUPLE1: u8 = 0x85;
pub(super) const TUPLE2: u8 = 0x86;
pub(super) const TUPLE3: u8 = 0x87;
pub(super) const DICT: u8 = b'd';
pub(super) const FROZEN_SET: u8 = 0x91;
pub(super) const APPEND: u8 = b'a';
pub(super) const APPENDS: u8 = b'e';
pub(super) const ADD_ITEMS: u8 = 0x90;
pub(super) const SET_ITEM: u8 = b's';
pub(super) const SET_ITEMS: u8 = b'u';

pub(super) const PUT1: u8 = b'q';
pub(super) const PUT4: u8 = b'r';
pub(super) const MEMOIZE: u8 = 0x94;
pub(super) const GET1: u8 = b'h';
pub(super) const GET4: u8 = b'j';

pub(super) const GLOBAL: u8 = b'c';
pub(super) const STACK_GLOBAL: u8 = 0x93;
/// Imports a class and makes an object of it, in one. Known so that the refusal can name the class.
pub(super) const INSTANCE: u8 = b'i';
pub(super) const REDUCE: u8 = b'R';
pub(super) const BUILD: u8 = b'b';
pub(super) const PERSISTENT_ID: u8 = b'Q';
