import { faults } from './registry.js';
import { testShortForms } from './short-forms.js';

testShortForms(faults.filter(({ number }) => number > 20));
