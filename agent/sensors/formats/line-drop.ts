/**
 * Why a line was dropped. One reason a line, the first that was found.
 *
 * - `not_utf8`: its bytes are not UTF-8, or it holds a surrogate that no UTF-8 can carry.
 * - `control_character`: it holds a control character other than a tab. Line noise, or a wrong baud rate.
 * - `malformed`: it is not of the format at all.
 * - `nested_too_deep`, `array`: JSON that no series can hold.
 * - `null_value`, `empty_value`: a field that has no value.
 * - `not_a_number`: NaN or an infinity or a word for "no value", as text.
 * - `bad_number`: begins like a number and is none: `1,5`, `0x1F`, `21.5C`, `1.2.3`.
 * - `number_range`: a number beyond what a double holds.
 * - `number_as_string`: a quoted number where the field's type is not given as a string.
 * - `bad_value`: neither number, boolean nor a word.
 * - `bad_name`: a field name that is empty, too long or not a name.
 * - `string_too_long`: a state longer than a state may be.
 * - `duplicate_field`: the same field twice in a line, so one of two values would be a guess.
 * - `column_count`: CSV with more or fewer cells than columns.
 * - `no_header`: CSV that waits for the device's header line.
 * - `type_changed`: a value of another type than the field has had before or is configured to have.
 * - `no_values`: nothing in it that is selected.
 * - `series_limit`: a field that would be one series too many for this source.
 */
export type LineDropReason =
  | 'not_utf8'
  | 'control_character'
  | 'malformed'
  | 'nested_too_deep'
  | 'array'
  | 'null_value'
  | 'empty_value'
  | 'not_a_number'
  | 'bad_number'
  | 'number_range'
  | 'number_as_string'
  | 'bad_value'
  | 'bad_name'
  | 'string_too_long'
  | 'duplicate_field'
  | 'column_count'
  | 'no_header'
  | 'type_changed'
  | 'no_values'
  | 'series_limit';
