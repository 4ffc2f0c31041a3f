//! Rounding and noise (core.md §4.3; faults.md rows 142, 143).

use proptest::prelude::*;
use waldur_sdk::types::{Decimal, WaldurAmount};

use crate::usage::{BOTH, NOVEMBER, World, decimal, november, rows};

fn amount(text: &str) -> WaldurAmount {
    WaldurAmount::new(decimal(text))
}

#[test]
fn f143_amounts_are_rounded_half_to_even_at_two_decimals() {
    let table = [
        ("2.675", "2.68"),
        ("2.665", "2.66"),
        ("0.125", "0.12"),
        ("0.135", "0.14"),
        ("0.005", "0.00"),
        ("0.0051", "0.01"),
        ("1023.9960937", "1024.00"),
        ("0", "0.00"),
        ("12", "12.00"),
        ("12.5", "12.50"),
        ("-0.001", "0.00"),
        ("999999999999999999.99", "999999999999999999.99"),
        ("1e3", "1000.00"),
    ];
    for (measured, sent) in table {
        let measured = Decimal::from_scientific(measured).unwrap_or_else(|_| decimal(measured));
        assert_eq!(WaldurAmount::new(measured).two_decimals(), sent, "{measured}");
    }
    assert!(amount("-0.001").is_negative() && !amount("-0").is_negative() && !amount("0").is_negative());
}

#[tokio::test(start_paused = true)]
async fn f142_noise_is_rounded_once_and_is_no_change() {
    for generation in BOTH {
        let world = World::new(generation);
        let resource = world.resource("res");
        world.used("res", "cpu", "0.30000000000000004");
        assert_eq!(november(&world.run().await), "submitted");
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "0.30")]));
        for noise in ["0.3", "0.300000001", "0.299999999", "0.2951"] {
            world.used("res", "cpu", noise);
            assert_eq!(november(&world.run().await), "unchanged", "{noise}");
        }
        assert_eq!(world.sent(), ["cpu 0.30"]);
    }
}

proptest! {
    /// Rounding moves no amount by more than half a cent, knows two decimals and does nothing the second time.
    #[test]
    fn f142_rounding_moves_no_amount_by_more_than_half_a_cent(mantissa in 0_i64..i64::MAX, scale in 0_u32..15) {
        let measured = WaldurAmount::new(Decimal::new(mantissa, scale));
        let rounded = measured.rounded();
        prop_assert!((rounded.decimal() - measured.decimal()).abs() <= Decimal::new(5, 3));
        prop_assert_eq!(rounded.rounded(), rounded);
        let text = measured.two_decimals();
        prop_assert_eq!(text.split('.').nth(1).map(str::len), Some(2));
        prop_assert_eq!(text.parse::<Decimal>().unwrap(), rounded.decimal());
    }
}
