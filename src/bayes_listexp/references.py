"""The references that reports cite, by key."""

BIBTEX = r"""@article{blair_imai_2012,
  author = {Blair, Graeme and Imai, Kosuke}, title = {Statistical Analysis of List Experiments}, journal = {Political Analysis},
  year = {2012}, volume = {20}, number = {1}, pages = {47--77}}

@article{imai_2011,
  author = {Imai, Kosuke}, title = {Multivariate Regression Analysis for the Item Count Technique}, journal = {Journal of the
  American Statistical Association}, year = {2011}, volume = {106}, number = {494}, pages = {407--416}}

@article{blair_chou_imai_2019,
  author = {Blair, Graeme and Chou, Winston and Imai, Kosuke}, title = {List Experiments with Measurement Error}, journal =
  {Political Analysis}, year = {2019}, volume = {27}, number = {4}, pages = {455--480}}

@article{vehtari_gelman_gabry_2017,
  author = {Vehtari, Aki and Gelman, Andrew and Gabry, Jonah}, title = {Practical {Bayesian} Model Evaluation Using Leave-One-Out
  Cross-Validation and {WAIC}}, journal = {Statistics and Computing}, year = {2017}, volume = {27}, pages = {1413--1432}}

@article{vehtari_2021,
  author = {Vehtari, Aki and Gelman, Andrew and Simpson, Daniel and Carpenter, Bob and B{\"u}rkner, Paul-Christian}, title =
  {Rank-Normalization, Folding, and Localization: An Improved {R}-hat for Assessing Convergence of {MCMC}}, journal = {Bayesian
  Analysis}, year = {2021}, volume = {16}, number = {2}, pages = {667--718}}

@article{vehtari_2024,
  author = {Vehtari, Aki and Simpson, Daniel and Gelman, Andrew and Yao, Yuling and Gabry, Jonah}, title = {Pareto Smoothed
  Importance Sampling}, journal = {Journal of Machine Learning Research}, year = {2024}, volume = {25}, number = {72}, pages =
  {1--58}}

@article{lesaffre_spiessens_2001,
  author = {Lesaffre, Emmanuel and Spiessens, Bart}, title = {On the Effect of the Number of Quadrature Points in a Logistic
  Random-Effects Model: An Example}, journal = {Journal of the Royal Statistical Society: Series C}, year = {2001}, volume = {50},
  number = {3}, pages = {325--335}}

@article{park_gelman_bafumi_2004,
  author = {Park, David K. and Gelman, Andrew and Bafumi, Joseph}, title = {Bayesian Multilevel Estimation with
  Poststratification: State-Level Estimates from National Polls}, journal = {Political Analysis}, year = {2004}, volume = {12},
  number = {4}, pages = {375--385}}

@article{eady_2017,
  author = {Eady, Gregory}, title = {The Statistical Analysis of Misreporting on Sensitive Survey Questions}, journal = {Political
  Analysis}, year = {2017}, volume = {25}, number = {2}, pages = {241--259}}

@article{aronow_coppock_crawford_green_2015,
  author = {Aronow, Peter M. and Coppock, Alexander and Crawford, Forrest W. and Green, Donald P.}, title = {Combining List
  Experiment and Direct Question Estimates of Sensitive Behavior Prevalence}, journal = {Journal of Survey Statistics and
  Methodology}, year = {2015}, volume = {3}, number = {1}, pages = {43--66}}

@article{imai_park_greene_2015,
  author = {Imai, Kosuke and Park, Bethany and Greene, Kenneth F.}, title = {Using the Predicted Responses from List Experiments
  as Explanatory Variables in Regression Models}, journal = {Political Analysis}, year = {2015}, volume = {23}, number = {2},
  pages = {180--196}}

@article{blair_imai_lyall_2014,
  author = {Blair, Graeme and Imai, Kosuke and Lyall, Jason}, title = {Comparing and Combining List and Endorsement Experiments:
  Evidence from {Afghanistan}}, journal = {American Journal of Political Science}, year = {2014}, volume = {58}, number = {4},
  pages = {1043--1063}}

@article{bullock_imai_shapiro_2011,
  author = {Bullock, Will and Imai, Kosuke and Shapiro, Jacob N.}, title = {Statistical Analysis of Endorsement Experiments:
  Measuring Support for Militant Groups in {Pakistan}}, journal = {Political Analysis}, year = {2011}, volume = {19}, number =
  {4}, pages = {363--384}}

@article{blair_imai_zhou_2015,
  author = {Blair, Graeme and Imai, Kosuke and Zhou, Yang-Yang}, title = {Design and Analysis of the Randomized Response
  Technique}, journal = {Journal of the American Statistical Association}, year = {2015}, volume = {110}, number = {511}, pages =
  {1304--1319}}

@article{riambau_ostwald_2021,
  author = {Riambau, Guillem and Ostwald, Kai}, title = {Placebo Statements in List Experiments: Evidence from a Face-to-Face
  Survey in {Singapore}}, journal = {Political Science Research and Methods}, year = {2021}, volume = {9}, number = {1}, pages =
  {172--179}}

@article{glynn_2013,
  author = {Glynn, Adam N.}, title = {What Can We Learn with Statistical Truth Serum? {Design} and Analysis of the List
  Experiment}, journal = {Public Opinion Quarterly}, year = {2013}, volume = {77}, number = {S1}, pages = {159--172}}

@article{corstange_2009,
  author = {Corstange, Daniel}, title = {Sensitive Questions, Truthful Answers? {Modeling} the List Experiment with {LISTIT}},
  journal = {Political Analysis}, year = {2009}, volume = {17}, number = {1}, pages = {45--63}}

@article{chou_imai_rosenfeld_2020,
  author = {Chou, Winston and Imai, Kosuke and Rosenfeld, Bryn}, title = {Sensitive Survey Questions with Auxiliary Information},
  journal = {Sociological Methods \& Research}, year = {2020}, volume = {49}, number = {2}, pages = {418--454}}

@article{deming_stephan_1940,
  author = {Deming, W. Edwards and Stephan, Frederick F.}, title = {On a Least Squares Adjustment of a Sampled Frequency Table
  When the Expected Marginal Totals Are Known}, journal = {The Annals of Mathematical Statistics}, year = {1940}, volume = {11},
  number = {4}, pages = {427--444}}

@article{rubin_1981,
  author = {Rubin, Donald B.}, title = {The {Bayesian} Bootstrap}, journal = {The Annals of Statistics}, year = {1981}, volume =
  {9}, number = {1}, pages = {130--134}}

@article{kitagawa_1955,
  author = {Kitagawa, Evelyn M.}, title = {Components of a Difference Between Two Rates}, journal = {Journal of the American
  Statistical Association}, year = {1955}, volume = {50}, number = {272}, pages = {1168--1194}}

@article{holt_smith_1979,
  author = {Holt, D. and Smith, T. M. F.}, title = {Post Stratification}, journal = {Journal of the Royal Statistical Society.
  Series A}, year = {1979}, volume = {142}, number = {1}, pages = {33--46}}

@book{kish_1965,
  author = {Kish, Leslie}, title = {Survey Sampling}, publisher = {Wiley}, address = {New York}, year = {1965}}

@article{savitsky_toth_2016,
  author = {Savitsky, Terrance D. and Toth, Daniell}, title = {Bayesian Estimation under Informative Sampling}, journal =
  {Electronic Journal of Statistics}, year = {2016}, volume = {10}, number = {1}, pages = {1677--1708}}

@article{williams_savitsky_2021,
  author = {Williams, Matthew R. and Savitsky, Terrance D.}, title = {Uncertainty Estimation for Pseudo-{Bayesian} Inference under
  Complex Sampling}, journal = {International Statistical Review}, year = {2021}, volume = {89}, number = {1}, pages = {72--107}}

@article{ribatet_cooley_davison_2012,
  author = {Ribatet, Mathieu and Cooley, Daniel and Davison, Anthony C.}, title = {Bayesian Inference from Composite Likelihoods,
  with an Application to Spatial Extremes}, journal = {Statistica Sinica}, year = {2012}, volume = {22}, number = {2}, pages =
  {813--845}}

@article{mackay_peto_1995,
  author = {MacKay, David J. C. and Peto, Linda C. Bauman}, title = {A Hierarchical {Dirichlet} Language Model}, journal =
  {Natural Language Engineering}, year = {1995}, volume = {1}, number = {3}, pages = {289--307}}

@article{ibrahim_chen_2000,
  author = {Ibrahim, Joseph G. and Chen, Ming-Hui}, title = {Power Prior Distributions for Regression Models}, journal =
  {Statistical Science}, year = {2000}, volume = {15}, number = {1}, pages = {46--60}}

@book{rue_held_2005,
  author = {Rue, H{\aa}vard and Held, Leonhard}, title = {Gaussian {Markov} Random Fields: Theory and Applications}, publisher =
  {Chapman and Hall/CRC}, year = {2005}}

@book{rasmussen_williams_2006,
  author = {Rasmussen, Carl Edward and Williams, Christopher K. I.}, title = {Gaussian Processes for Machine Learning}, publisher =
  {MIT Press}, year = {2006}}

@article{besag_york_mollie_1991,
  author = {Besag, Julian and York, Jeremy and Molli{\'e}, Annie}, title = {{Bayesian} Image Restoration, with Two Applications in
  Spatial Statistics}, journal = {Annals of the Institute of Statistical Mathematics}, year = {1991}, volume = {43}, number = {1},
  pages = {1--20}}

@article{riebler_2016,
  author = {Riebler, Andrea and S{\o}rbye, Sigrunn H. and Simpson, Daniel and Rue, H{\aa}vard}, title = {An Intuitive {Bayesian}
  Spatial Model for Disease Mapping that Accounts for Scaling}, journal = {Statistical Methods in Medical Research}, year =
  {2016}, volume = {25}, number = {4}, pages = {1145--1165}}

@article{sorbye_rue_2014,
  author = {S{\o}rbye, Sigrunn Holbek and Rue, H{\aa}vard}, title = {Scaling Intrinsic {Gaussian} {Markov} Random Field Priors in
  Spatial Modelling}, journal = {Spatial Statistics}, year = {2014}, volume = {8}, pages = {39--51}}

@article{lewandowski_kurowicka_joe_2009,
  author = {Lewandowski, Daniel and Kurowicka, Dorota and Joe, Harry}, title = {Generating Random Correlation Matrices Based on
  Vines and Extended Onion Method}, journal = {Journal of Multivariate Analysis}, year = {2009}, volume = {100}, number = {9},
  pages = {1989--2001}}

@article{gelman_pardoe_2006,
  author = {Gelman, Andrew and Pardoe, Iain}, title = {{Bayesian} Measures of Explained Variance and Pooling in Multilevel
  (Hierarchical) Models}, journal = {Technometrics}, year = {2006}, volume = {48}, number = {2}, pages = {241--251}}
"""

REFERENCES = {entry.partition("{")[2].partition(",")[0]: entry for entry in BIBTEX.split("\n\n")}
"""BibTeX entries of everything that a methods paragraph may cite."""
